/**
 * One attachment: a WebSocket connection, an event stream, or a chain of polls, with the cursor that it
 * moves and the channels that the cursor covers. Knows no other attachment and decides nothing: it reports
 * what it saw, in order, to the connection that opened it.
 */
import { TriwayError } from './error.js'
import { atOrBelow, foreign, MAGIC, newNonce, wireName } from './frame.js'
import { readPoll } from './poll.js'
import { kindOf } from './requests.js'
import { readSse } from './sse.js'
import { readWs } from './ws.js'

/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./rungs.js').Step & {do: 'open'}} Open */

/** Longest address, in characters, where a body may say it instead: proxies take 4 to 8 KB of head in all. */
const ADDRESS_MOST = 2500
/** A socket that for so long, in ms, answers none of the commands that wait is mute. */
const ANSWER_MOST_MS = 5000
/** Bytes of data that an attachment replays; more is read as history, beside it. */
const REPLAY_BYTES = 16 * 1024
/** The same for short polls: where they are needed, little may get through. */
const REPLAY_SHORT_BYTES = 2 * 1024
/** Codes of byes about credentials. */
const EXPIRED = 3003
const UNAUTHORIZED = 3501
/** An answer that takes longer, in ms, was held and cut, and is not repeated. */
const AWAY_MOST_MS = 2000
/** What is asked again for so long, in ms, has had its time, also where others take turns with it. */
const AWAY_IN_ALL_MS = 4000
/** Requests in all, and where this attachment was answered before. */
const AWAY_TIMES = 4
const AWAY_TIMES_PROVEN = 5
/** So often a first poll is asked for anew, each time after twice as long. */
const ANEW_TIMES = 3
/** Ids remembered between two counts: more than come in a heartbeat of a busy channel. */
const ARRIVED_MOST = 20_000

/**
 * What is read: channels by wire name. `true` are those that the cursor covers; the others begin where the
 * start says, until the hub confirms.
 * @typedef {Map<string, string | true>} Reads
 *
 * Where reading goes on from when this attachment ends.
 * @typedef {object} Line
 * @property {Reads} reads
 * @property {string} [cursor] everything up to here is read
 * @property {import('./frame.js').Session} [session]
 *
 * @typedef {object} Context
 * @property {ReturnType<typeof import('./options.js').checkOptions>} options
 * @property {import('./requests.js').Requests} requests
 * @property {(attachment: Attachment, frame: Frame) => void} onFrame
 * @property {(attachment: Attachment) => void} away a gateway cannot reach the hub; it is asked again
 * @property {(attachment: Attachment, why: string, error: TriwayError | undefined) => void} ended
 */

export class Attachment {
  /** Sends a message, where the transport carries commands. @type {((message: string) => void) | undefined} */
  socket
  /** The code of a WebSocket's close. */
  closeCode = 0
  #context
  #abort = new AbortController()
  /** Awaited, in the order of the commands. @type {(((reply: Frame) => void) | undefined)[]} */
  #replies = []
  #nonce = ''
  #isGreeted = false
  /** @type {any} */
  #watch
  /** A GET lost words on its way: they go in a body. */
  #isPosted = false
  #token = /** @type {string | undefined} */ (undefined)
  /** Events and gaps that came, to compare with the hub's count; the last id of each channel; where all was there; and ids since then. */
  #count = 0
  /** @type {Map<string, string>} */
  #last = new Map()
  /** @type {string | undefined} */
  #complete
  /** @type {Set<string>} */
  #arrived = new Set()

  /**
   * @param {Open} step
   * @param {Line} line
   * @param {boolean} isShown it may show the session in presence
   * @param {Context} context
   */
  constructor(step, line, isShown, context) {
    this.id = step.id
    this.transport = step.transport
    this.line = line
    this.isShown = isShown
    /** How it was opened. */
    this.step = step
    this.#context = context
    this.#run()
  }

  /** @param {number} [code] of the close of a WebSocket: 1000 says that its session leaves, and not only this attachment */
  stop(code = 4000) {
    this.#abort.abort(code)
    this.#endReplies()
  }

  /** Ends the wait for replies: none comes. */
  #endReplies() {
    clearTimeout(this.#watch)
    for (const reply of this.#replies.splice(0)) reply?.({ type: 'reply', error: { code: 'closed' } })
  }

  /** Only a WebSocket tells the reply. @param {string} json @param {(reply: Frame) => void} [onReply] */
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
      if (caught instanceof TriwayError) error = await this.#judged(caught)
    }
    if (this.#abort.signal.aborted) return
    // What the transport still holds open ends, too.
    this.stop()
    const cause = error?.kind === 'unreachable' ? undefined : (error?.why ?? error?.code)
    this.#context.ended(this, cause ?? (this.#isGreeted ? 'closed' : 'refused'), error)
  }

  /** Credentials that were refused or have expired may have successors. @param {TriwayError} error */
  async #judged(error) {
    const isCredential = error.closeCode === EXPIRED || error.closeCode === UNAUTHORIZED
    if (isCredential && (await this.#context.requests.credentials.renew(this.#token))) Object.assign(error, { kind: 'passing', isPlanned: true })
    return error
  }

  async #read() {
    const hear = (/** @type {Frame} */ frame) => this.#hear(frame)
    if (this.transport === 'poll') return readPoll({ ask: (isPosted) => this.#request(isPosted), nonce: () => this.#nonce, pauseMs: this.step.pause, signal: this.#abort.signal }, hear)
    if (this.transport === 'sse') return readSse(await this.#request(), hear)
    const { options, requests } = this.#context
    this.#token = await requests.credentials.current()
    this.#abort.signal.throwIfAborted()
    this.closeCode = await readWs({ WebSocket: options.WebSocket, address: this.#address(), token: this.#token, attachment: this, signal: this.#abort.signal }, hear)
  }

  /** A gateway may not reach the hub for a moment: where the hub answered before, it is asked again. @param {boolean} [isPosted] @returns {Promise<Response>} */
  async #request(isPosted) {
    const beganAt = performance.now()
    for (let times = 1; ; times++) {
      const askedAt = performance.now()
      try {
        return await this.#ask(isPosted)
      } catch (/** @type {any} */ error) {
        const most = this.#isGreeted ? AWAY_TIMES_PROVEN : this.#context.requests.hasAnswered ? AWAY_TIMES : 1
        // What was held for long was cut, and not refused.
        if (error.kind !== 'away' || times >= most || performance.now() > Math.min(askedAt + AWAY_MOST_MS, beganAt + AWAY_IN_ALL_MS)) throw error
        this.#context.away(this)
        await this.#context.requests.turn(this.#abort.signal, true)
      }
    }
  }

  /** @param {boolean} [isPosted] */
  async #ask(isPosted) {
    const { requests } = this.#context
    this.#token = await requests.credentials.current()
    this.#abort.signal.throwIfAborted()
    const post = () => requests.send(this.base + this.transport, this.#nonce, { signal: this.#abort.signal, method: 'POST', body: this.#body() })
    const address = this.#address()
    if (isPosted || this.#isPosted || address.length > ADDRESS_MOST) return post()
    try {
      return await this.#promptly((signal) => requests.send(address, this.#nonce, { signal }))
    } catch (/** @type {any} */ error) {
      // Part of the address or of the head was lost, or was too long for a box.
      const isLost = error.kind === 'altered' || error.status === 414 || error.status === 431
      if (!isLost) throw error
      this.#isPosted = true
      return post()
    }
  }

  /** A connection that was kept may be dead: where an answer should be there at once and is not, another one is asked. @param {(signal: AbortSignal) => Promise<Response>} ask */
  async #promptly(ask) {
    const { signal } = this.#abort
    const { patience = 0 } = this.step
    for (let times = patience && !this.#isGreeted ? 0 : ANEW_TIMES; times < ANEW_TIMES; times++) {
      const limit = new AbortController()
      const stop = () => limit.abort()
      signal.addEventListener('abort', stop)
      const timer = setTimeout(stop, patience * 2 ** times)
      try {
        return await ask(limit.signal)
      } catch (error) {
        if (signal.aborted || !limit.signal.aborted) throw error
      } finally {
        clearTimeout(timer)
      }
    }
    return ask(signal)
  }

  get base() {
    return this.#context.requests.base
  }

  /** What is asked for, apart from channels and starts. */
  #parameters() {
    const { options } = this.#context
    const { transport } = this
    const { beat, wait, early, pause, why } = this.step
    this.#nonce = newNonce()
    return {
      nonce: this.#nonce,
      why: why.includes(':') ? why : undefined,
      // The faster one of what the network needs and what the application wants.
      heartbeat: beat && options.heartbeat ? Math.min(beat, options.heartbeat) : (beat ?? options.heartbeat),
      // Shown in each channel whose presence is read: that may change without another attachment.
      presence: this.isShown ? 'watched' : undefined,
      info: this.isShown ? options.infoJson : undefined,
      // A chain of polls is bounded by each answer.
      replay: this.#isGreeted ? undefined : pause ? REPLAY_SHORT_BYTES : REPLAY_BYTES,
      ...(transport === 'sse' && { format: 'full' }),
      // The first poll is the proof: it must not be held.
      ...(transport !== 'poll' ? { probe: 1 } : this.#isGreeted && !pause ? { wait, early } : { wait: 0 }),
    }
  }

  #starts() {
    return [...this.line.reads].filter(([, start]) => start !== true)
  }

  #address() {
    const { reads, cursor, session } = this.line
    const since = Object.fromEntries(this.#starts().map(([name, start]) => ['since.' + name, start]))
    const { nonce, ...more } = this.#parameters()
    const query = { ...more, since: cursor, ...since }
    // The nonce is the last word: a refusal that repeats it has read all of them.
    return this.#context.requests.at(this.transport, query, session) + '&channels=' + [...reads.keys()].map(encodeURIComponent) + '&nonce=' + nonce
  }

  #body() {
    const { reads, cursor, session } = this.line
    const { nonce, ...more } = this.#parameters()
    return JSON.stringify({ ...more, session: session?.key, token: this.#token, channels: [...reads.keys()], since: { '': cursor, ...Object.fromEntries(this.#starts()) }, nonce })
  }

  /** @param {Frame} frame */
  #hear(frame) {
    const { type } = frame
    if (this.#abort.signal.aborted) return
    if (type === 'reply') {
      this.#replies.shift()?.(frame)
      this.#expectReply()
    } else if (type === 'bye') throw this.#farewell(frame)
    else if (type === 'hello') this.#greet(frame)
    else if (type === 'refused') for (const { channel } of /** @type {any[]} */ (frame.channels)) this.line.reads.delete(channel)
    // What comes begins where it was asked to; from here on the cursor says where it is.
    if (!this.#isGreeted) for (const name of this.line.reads.keys()) this.line.reads.set(name, true)
    this.#isGreeted = true
    // Where this one has read to, before hello says where it goes on.
    if (type === 'hello') frame.after = this.line.cursor
    const hole = this.#counted(frame)
    this.#move(frame)
    this.#context.onFrame(this, frame)
    if (hole) this.#context.onFrame(this, hole)
  }

  /** @param {Frame} frame */
  #greet({ magic, nonce, session, channels }) {
    if (magic !== MAGIC || nonce !== this.#nonce) throw foreign()
    const inboxes = /** @type {string[]} */ (channels).filter((name) => name[0] === '@')
    this.line.session = { .../** @type {import('./frame.js').Session} */ (session), inboxes }
    this.#complete = undefined
  }

  /** The hub's last words as an error. @param {Frame} frame @returns {TriwayError} */
  #farewell({ code = 0, reason = '', reconnect, after_ms, error }) {
    const kind = reconnect ? 'passing' : error ? kindOf(error.status ?? 400, error, this.#nonce, !!this.#token) : 'final'
    // Where the hub hears nothing, or is not read, the way is at fault.
    const isPlanned = !/^(silent|slow)$/.test(reason)
    return new TriwayError(error?.code ?? reason, { ...error, why: 'bye:' + reason, kind, afterMs: after_ms, isPlanned, closeCode: code })
  }

  /** The replay of a subscribe moves only that channel, and a reply none. After a gap with `more` another of the same id follows. @param {Frame} frame */
  #move({ type, id, more, channel = '' }) {
    if (id && !more && type !== 'reply' && (!channel || this.line.reads.get(wireName(channel)) === true)) this.line.cursor = id
  }

  /** Whether all came that the hub sent, which its pings say. @param {Frame} frame @returns {Frame | void} what is missing */
  #counted({ type, id = '', channel = '', count }) {
    if (type === 'event' || type === 'gap') {
      if (type === 'event' && atOrBelow(id, this.#last.get(channel))) return
      this.#last.set(channel, id)
      this.#count++
      if (this.#arrived.size < ARRIVED_MOST) this.#arrived.add(id)
    }
    if (type === 'hello') this.#complete = id
    if (type !== 'ping' || count == null) return
    const isComplete = count <= this.#count
    const hole = { type: 'incomplete', since: this.#complete, upTo: id, arrived: this.#arrived, isKnown: this.#arrived.size < ARRIVED_MOST }
    this.#count = count
    this.#complete = id
    this.#arrived = new Set()
    if (!isComplete) return /** @type {any} */ (hole)
  }

  /** From now on a reply, if one is awaited. */
  #expectReply() {
    clearTimeout(this.#watch)
    if (this.#replies.length) this.#watch = setTimeout(() => this.#hear({ type: 'mute' }), ANSWER_MOST_MS)
  }
}
