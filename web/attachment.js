/**
 * One attachment: a WebSocket connection, an event stream, or a chain of polls, with its reading position:
 * the cursor that it moves and the channels that the cursor covers. It reports its frames and its end, in
 * order, to the connection that opened it. Knows no other attachment and decides nothing.
 */
import { TriwayError } from './error.js'
import { atOrBelow, foreign, MAGIC, newNonce, wireName } from './frame.js'
import { readPoll } from './poll.js'
import { kindOf } from './requests.js'
import { readSse } from './sse.js'
import { readWs } from './ws.js'

/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./rungs.js').Step & {do: 'open'}} Open */

/** A longer address, in characters, is sent as a body: proxies accept 4 to 8 KB of head in all. */
const ADDRESS_MAX = 2500
/** A socket that leaves all pending commands without a reply for this time, in ms, is mute. */
const ANSWER_MAX_MS = 5000
/** Bytes of data that an attachment replays; if more was missed, it is read as history. */
const REPLAY_BYTES = 16 * 1024
/** The same for short polls: a network that needs them may let little through. */
const REPLAY_SHORT_BYTES = 2 * 1024
/** Close codes of byes about credentials. */
const EXPIRED = 3003
const UNAUTHORIZED = 3501
/** A request that a gateway answered later than this, in ms, was held and cut; it is not repeated. */
const AWAY_MAX_MS = 2000
/** Longest time for which a request is repeated, in ms. */
const AWAY_IN_ALL_MS = 4000
/** How often it is sent in all, before and after this attachment was answered. */
const AWAY_TIMES = 4
const AWAY_TIMES_PROVEN = 5
/** How often a first poll without an answer is sent again, each time after twice the time. */
const RETRY_TIMES = 3
/** Ids remembered between two counts of the hub: more than arrive within a heartbeat on a busy channel. */
const ARRIVED_MAX = 20_000

/**
 * The channels that are read, by wire name: `true` if the cursor covers it, else where it begins, until the
 * hub has confirmed it.
 * @typedef {Map<string, string | true>} Reads
 *
 * A reading position: where the next attachment continues.
 * @typedef {object} Position
 * @property {Reads} reads
 * @property {string} [cursor] every event up to here was read
 * @property {import('./frame.js').Session} [session]
 *
 * @typedef {object} Context
 * @property {ReturnType<typeof import('./options.js').checkOptions>} options
 * @property {import('./requests.js').Requests} requests
 * @property {(attachment: Attachment, frame: Frame) => void} onFrame
 * @property {(attachment: Attachment) => void} onGatewayError a gateway cannot reach the hub; the request is repeated
 * @property {(attachment: Attachment, why: string, error: TriwayError | undefined) => void} onEnded
 */

export class Attachment {
  /** Sends a message, if the transport carries commands. @type {((message: string) => void) | undefined} */
  socket
  /** The code of a WebSocket's close. */
  closeCode = 0
  #context
  #abort = new AbortController()
  /** Callbacks for replies, in the order of the commands. @type {(((reply: Frame) => void) | undefined)[]} */
  #replies = []
  #nonce = ''
  #hasHello = false
  /** @type {any} */
  #replyTimer
  /** A GET lost part of its address on the way: from now on requests are POSTs. */
  #isPosted = false
  #token = /** @type {string | undefined} */ (undefined)
  /** Events and gaps that arrived, to compare with the count of the hub. */
  #count = 0
  /** The last id of each channel. @type {Map<string, string>} */
  #lastIds = new Map()
  /** Up to here nothing was missing. @type {string | undefined} */
  #completeUpTo
  /** Ids that arrived after that. @type {Set<string>} */
  #arrived = new Set()

  /**
   * @param {Open} step
   * @param {Position} position
   * @param {boolean} showsPresence it may show its session in presence
   * @param {Context} context
   */
  constructor(step, position, showsPresence, context) {
    this.id = step.id
    this.transport = step.transport
    this.position = position
    this.showsPresence = showsPresence
    /** The step of the ladder that opened it. */
    this.step = step
    this.#context = context
    this.#run()
  }

  /** @param {number} [code] with which a WebSocket is closed: 1000 ends its session, and not only this attachment */
  stop(code = 4000) {
    this.#abort.abort(code)
    this.#endReplies()
  }

  /** No reply comes any more. */
  #endReplies() {
    clearTimeout(this.#replyTimer)
    for (const reply of this.#replies.splice(0)) reply?.({ type: 'reply', error: { code: 'closed' } })
  }

  /** `onReply` is called on WebSocket only. @param {string} json @param {(reply: Frame) => void} [onReply] */
  command(json, onReply) {
    if (this.socket) {
      this.socket(json)
      if (this.#replies.push(onReply) < 2) this.#expectReply()
    } else this.#context.requests.command(`[${json}]`).catch(() => {})
  }

  async #run() {
    /** @type {TriwayError | undefined} */
    let error
    try {
      await this.#read()
    } catch (/** @type {any} */ caught) {
      if (caught instanceof TriwayError) error = await this.#renewCredential(caught)
    }
    if (this.#abort.signal.aborted) return
    // The transport may still hold something open.
    this.stop()
    const cause = error?.kind === 'unreachable' ? undefined : (error?.why ?? error?.code)
    this.#context.onEnded(this, cause ?? (this.#hasHello ? 'closed' : 'refused'), error)
  }

  /** A credential that was refused or has expired may have a successor: then the end passes. @param {TriwayError} error */
  async #renewCredential(error) {
    const isCredential = error.closeCode === EXPIRED || error.closeCode === UNAUTHORIZED
    if (isCredential && (await this.#context.requests.credentials.renew(this.#token))) Object.assign(error, { kind: 'passing', isPlanned: true })
    return error
  }

  async #read() {
    const onFrame = (/** @type {Frame} */ frame) => this.#onFrame(frame)
    if (this.transport === 'poll') return readPoll({ request: (isPosted) => this.#request(isPosted), nonce: () => this.#nonce, pauseMs: this.step.pause, signal: this.#abort.signal }, onFrame)
    if (this.transport === 'sse') return readSse(await this.#request(), onFrame)
    const { options, requests } = this.#context
    this.#token = await requests.credentials.current()
    this.#abort.signal.throwIfAborted()
    this.closeCode = await readWs({ WebSocket: options.WebSocket, address: this.#address(), token: this.#token, attachment: this, signal: this.#abort.signal }, onFrame)
  }

  /** A gateway may not reach the hub for a moment: if the hub answered before, the request is repeated. @param {boolean} [isPosted] @returns {Promise<Response>} */
  async #request(isPosted) {
    const beganAt = performance.now()
    for (let times = 1; ; times++) {
      const requestedAt = performance.now()
      try {
        return await this.#sendRequest(isPosted)
      } catch (/** @type {any} */ error) {
        const most = this.#hasHello ? AWAY_TIMES_PROVEN : this.#context.requests.hasAnswered ? AWAY_TIMES : 1
        // A request that was held for long was cut, and not refused.
        if (error.kind !== 'away' || times >= most || performance.now() > requestedAt + AWAY_MAX_MS) throw error
        this.#context.onGatewayError(this)
        if (!(await this.#context.requests.waitForTurnUntil(beganAt + AWAY_IN_ALL_MS, this.#abort.signal))) throw error
      }
    }
  }

  /** @param {boolean} [isPosted] */
  async #sendRequest(isPosted) {
    const { requests } = this.#context
    this.#token = await requests.credentials.current()
    this.#abort.signal.throwIfAborted()
    const post = () => requests.send(this.base + this.transport, this.#nonce, { signal: this.#abort.signal, method: 'POST', body: this.#body() })
    const address = this.#address()
    if (isPosted || this.#isPosted || address.length > ADDRESS_MAX) return post()
    try {
      return await this.#requestPromptly((signal) => requests.send(address, this.#nonce, { signal }))
    } catch (/** @type {any} */ error) {
      // Something on the way cut the address or the head, or refused their length.
      const isLost = error.kind === 'altered' || error.status === 414 || error.status === 431
      if (!isLost) throw error
      this.#isPosted = true
      return post()
    }
  }

  /** A kept connection may be dead: a request that should be answered at once, and is not, is sent on another one. @param {(signal: AbortSignal) => Promise<Response>} send */
  async #requestPromptly(send) {
    const { signal } = this.#abort
    const { patience = 0 } = this.step
    for (let times = patience && !this.#hasHello ? 0 : RETRY_TIMES; times < RETRY_TIMES; times++) {
      const limit = new AbortController()
      const stop = () => limit.abort()
      signal.addEventListener('abort', stop)
      const timer = setTimeout(stop, patience * 2 ** times)
      try {
        return await send(limit.signal)
      } catch (error) {
        if (signal.aborted || !limit.signal.aborted) throw error
      } finally {
        clearTimeout(timer)
      }
    }
    return send(signal)
  }

  get base() {
    return this.#context.requests.base
  }

  /** Of the request, apart from channels and where they begin. */
  #parameters() {
    const { options } = this.#context
    const { transport } = this
    const { beat, wait, early, pause, why } = this.step
    this.#nonce = newNonce()
    return {
      nonce: this.#nonce,
      why: why.includes(':') ? why : undefined,
      // The faster one of what the network needs and what the application chose.
      heartbeat: beat && options.heartbeat ? Math.min(beat, options.heartbeat) : (beat ?? options.heartbeat),
      // The session is shown in each channel whose presence is read: that may change without another attachment.
      presence: this.showsPresence ? 'watched' : undefined,
      info: this.showsPresence ? options.infoJson : undefined,
      // Each answer bounds a chain of polls by itself.
      replay: this.#hasHello ? undefined : pause ? REPLAY_SHORT_BYTES : REPLAY_BYTES,
      ...(transport === 'sse' && { format: 'full' }),
      // The first poll is the proof, so the hub must not hold it.
      ...(transport !== 'poll' ? { probe: 1 } : this.#hasHello && !pause ? { wait, early } : { wait: 0 }),
    }
  }

  #starts() {
    return [...this.position.reads].filter(([, start]) => start !== true)
  }

  #address() {
    const { reads, cursor, session } = this.position
    const since = Object.fromEntries(this.#starts().map(([name, start]) => ['since.' + name, start]))
    const { nonce, ...more } = this.#parameters()
    const query = { ...more, since: cursor, ...since }
    // The nonce comes last: if a refusal repeats it, the hub read the whole address.
    return this.#context.requests.address(this.transport, query, session) + '&channels=' + [...reads.keys()].map(encodeURIComponent) + '&nonce=' + nonce
  }

  #body() {
    const { reads, cursor, session } = this.position
    const { nonce, ...more } = this.#parameters()
    return JSON.stringify({ ...more, session: session?.key, token: this.#token, channels: [...reads.keys()], since: { '': cursor, ...Object.fromEntries(this.#starts()) }, nonce })
  }

  /** @param {Frame} frame */
  #onFrame(frame) {
    const { type } = frame
    if (this.#abort.signal.aborted) return
    if (type === 'reply') {
      this.#replies.shift()?.(frame)
      this.#expectReply()
    } else if (type === 'bye') throw this.#byeError(frame)
    else if (type === 'hello') this.#onHello(frame)
    else if (type === 'refused') for (const { channel } of /** @type {any[]} */ (frame.channels)) this.position.reads.delete(channel)
    // The first frame confirms where the channels begin: from here on the cursor covers them.
    if (!this.#hasHello) for (const name of this.position.reads.keys()) this.position.reads.set(name, true)
    this.#hasHello = true
    // Where this attachment has read to, before hello moves its cursor.
    if (type === 'hello') frame.after = this.position.cursor
    const missing = this.#findMissing(frame)
    this.#advance(frame)
    this.#context.onFrame(this, frame)
    if (missing) this.#context.onFrame(this, missing)
  }

  /** @param {Frame} frame */
  #onHello({ magic, nonce, session, channels }) {
    if (magic !== MAGIC || nonce !== this.#nonce) throw foreign()
    const inboxes = /** @type {string[]} */ (channels).filter((name) => name[0] === '@')
    this.position.session = { .../** @type {import('./frame.js').Session} */ (session), inboxes }
    this.#completeUpTo = undefined
  }

  /** A bye, as an error. @param {Frame} frame @returns {TriwayError} */
  #byeError({ code = 0, reason = '', reconnect, after_ms, error }) {
    const kind = reconnect ? 'passing' : error ? kindOf(error.status ?? 400, error, this.#nonce, !!this.#token) : 'final'
    // If the hub received nothing, or could not write, the network is at fault.
    const isPlanned = !/^(silent|slow)$/.test(reason)
    return new TriwayError(error?.code ?? reason, { ...error, why: 'bye:' + reason, kind, afterMs: after_ms, isPlanned, closeCode: code })
  }

  /** Moves the cursor. The replay of a new channel does not move it, nor does a reply; after a gap with `more` another gap of the same id follows. @param {Frame} frame */
  #advance({ type, id, more, channel = '' }) {
    if (id && !more && type !== 'reply' && (!channel || this.position.reads.get(wireName(channel)) === true)) this.position.cursor = id
  }

  /** Compares what arrived with the count in a ping of the hub. @param {Frame} frame @returns {Frame | void} what is missing, as a frame of type `incomplete` */
  #findMissing({ type, id = '', channel = '', count }) {
    if (type === 'event' || type === 'gap') {
      if (type === 'event' && atOrBelow(id, this.#lastIds.get(channel))) return
      this.#lastIds.set(channel, id)
      this.#count++
      if (this.#arrived.size < ARRIVED_MAX) this.#arrived.add(id)
    }
    if (type === 'hello') this.#completeUpTo = id
    if (type !== 'ping' || count == null) return
    const isComplete = count <= this.#count
    const missing = { type: 'incomplete', since: this.#completeUpTo, upTo: id, arrived: this.#arrived, isKnown: this.#arrived.size < ARRIVED_MAX }
    this.#count = count
    this.#completeUpTo = id
    this.#arrived = new Set()
    if (!isComplete) return /** @type {any} */ (missing)
  }

  /** Sets the timer for the next reply, if one is pending. */
  #expectReply() {
    clearTimeout(this.#replyTimer)
    if (this.#replies.length) this.#replyTimer = setTimeout(() => this.#onFrame({ type: 'mute' }), ANSWER_MAX_MS)
  }
}
