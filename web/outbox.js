/**
 * What waits to be published: bounded, in order, each once. Every publish has the key `SESSIONID:N`; until
 * it is answered it is sent again, by whatever route there is, under the same key, and the hub acts on each
 * key once. It waits through an outage for a stated time. Knows no ladder and no channel.
 */
import { TriwayError } from './error.js'
import { foreign, newNonce } from './frame.js'
import { expired, postBlocked, queueFull, tooLarge } from './publish-errors.js'

/** Publishes waiting for their answers: more than any burst of a page, and a bound for its memory. */
const QUEUE_COMMANDS = 1000
/** Characters waiting: a page that is cut off must not grow without end. */
const QUEUE_SIZE = 8 * 1024 * 1024
/** Commands in one POST, and their characters: an answer lost on the way costs one batch. */
const BATCH_COMMANDS = 100
const BATCH_SIZE = 256 * 1024
/** First and longest pause after a request that failed, in ms. */
const RETRY_FIRST_MS = 250
const RETRY_MOST_MS = 5000
/** POSTs that failed in a row while the hub answered something else, after which POST counts as blocked; and GETs that may fail before one is given up. */
const POSTS_MOST = 2
const GETS_MOST = 2
/** Longest address, in characters: the one to begin with, which every box takes. */
const ADDRESS_FIRST = 500
/** A request that waits for so long, in ms, makes us ask whether the hub answers anything else. */
const DOUBT_MS = 2500
/** Nothing but the stream for so long, in ms: no connection is left for requests. */
const STARVED_MS = 5000
/** An entry with a key of its own is sent again for so long, in ms: the hub remembers such a key for five minutes. */
const KEY_MOST_MS = 270_000
/** Bounds where no hello has told them yet. */
const LIMITS = { data: 64 * 1024, address: 4096 }
/** A message of so many characters may be what a connection was cut for. */
const LARGE = 16 * 1024

/**
 * @typedef {object} Entry
 * @property {string} [encoded] the command without its key; absent while a Blob is read
 * @property {number} size of the data, as the hub counts it
 * @property {any} [key] its own
 * @property {number} deadline when it is rejected, by `performance.now()`: clocks are set
 * @property {number} [keptUntil] when the hub may forget its key, by `Date.now()`, which counts sleep too
 * @property {boolean} [isSent] it may have acted
 * @property {boolean} [isLarge] a connection ended over it: it goes by a request of its own
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 *
 * @typedef {{ok?: any, id?: string, reached?: any, error?: any}} Reply
 * @typedef {(json: string, onReply: (reply: any) => any, entry: Entry) => void} Socket
 * @typedef {'expired' | 'blocked' | 'starved'} Fact
 */

export class Outbox {
  /** @type {Entry[]} */
  #queue = []
  /** Under whose numbers it publishes. */
  session = ''
  /** N of the key of the first of the queue; the others follow. */
  #first = 0
  /** A WebSocket, or true for requests. @type {Socket | boolean | undefined} */
  #route
  /** POST is blocked: one at a time by GET. */
  #isByGet = false
  #addressMost = ADDRESS_FIRST
  #batchMost = BATCH_COMMANDS
  #isAsking = false
  /** So many, the first of the queue, are on their way. */
  #sent = 0
  /** Requests that failed in a row, and those of them that failed while the hub answered something else. */
  #failures = 0
  #blockedTimes = 0
  /** Since when nothing but the stream gets through, in ms since 1970. */
  #silentSince = 0
  /** Grows whenever all that has no answer is to be sent again: an answer of an earlier round counts no more. */
  #round = 0
  /** @type {any} */
  #pause
  /** @type {any} */
  #timer
  /** Why the last request failed. @type {any} */
  #reason
  /** When the last request was sent, in ms since 1970. */
  #askedAt = 0
  /** Why nothing more is sent. @type {any} */
  #closedBy

  /**
   * @param {object} context
   * @param {import('./requests.js').Requests} context.requests
   * @param {number} context.timeoutMs how long a publish waits
   * @param {() => import('./cuts.js').Transport | null} context.transport that carries, named in errors
   * @param {() => Promise<boolean>} context.isHubThere asks for something small
   * @param {(fact: Fact) => void} context.tell
   * @param {() => any} context.problem why nothing is sent, where no request has told it
   * @param {boolean} context.isShared by tabs: the reading tab may change before it has answered, and a key must be the same for all
   */
  constructor({ requests, timeoutMs, transport, isHubThere, tell, problem, isShared }) {
    this.#requests = requests
    this.#timeoutMs = timeoutMs
    this.#transport = transport
    this.#isHubThere = isHubThere
    this.#tell = tell
    this.#problem = problem
    this.isShared = isShared
    /** What the hub takes, by its last hello. */
    this.limits = LIMITS
  }
  #requests
  #timeoutMs
  #transport
  #isHubThere
  #tell
  #problem

  /**
   * @param {object} command
   * @param {string} command.head JSON members before the data
   * @param {import('./data.js').Encoded | Promise<import('./data.js').Encoded>} command.data
   * @param {number} command.sizeBefore what is known of its size before it is read
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async publish({ head, data, sizeBefore }, signal) {
    if (signal?.aborted) throw signal.reason
    this.#checkSize(sizeBefore)
    const encoded = data instanceof Promise ? undefined : `{${head},${data.member}}`
    const pending = this.add(encoded, data instanceof Promise ? sizeBefore : data.size, signal)
    if (data instanceof Promise) this.#fill(pending.entry, head, data)
    return pending.answer
  }

  /** @param {Entry} entry @param {string} head @param {Promise<import('./data.js').Encoded>} data */
  async #fill(entry, head, data) {
    try {
      const { member, size } = await data
      entry.size = size
      entry.encoded = `{${head},${member}}`
    } catch (error) {
      this.#drop(entry, error)
    }
    this.#pump()
  }

  /** @param {number} size */
  #checkSize(size) {
    if (size > this.limits.data) throw tooLarge(size, this.limits.data)
  }

  /**
   * @param {string | undefined} encoded
   * @param {number} size
   * @param {AbortSignal} [signal]
   * @param {any} [key] of another tab, with its deadline
   * @param {number} [deadline]
   * @returns {{entry: Entry, answer: Promise<any>}}
   */
  add(encoded, size, signal, key = this.isShared && newNonce(), deadline = Infinity) {
    if (this.#closedBy) throw this.#closedBy
    this.#checkSize(size)
    const waiting = this.#queue.reduce((sum, entry) => sum + Math.max(entry.encoded?.length ?? 0, entry.size), 0)
    if (this.#queue.length >= QUEUE_COMMANDS || (waiting && waiting + size > QUEUE_SIZE)) throw queueFull()
    /** @type {Entry} */
    const entry = { encoded, size, key, deadline: Math.min(deadline, performance.now() + this.#timeoutMs), resolve: () => {}, reject: () => {} }
    const answer = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }))
    this.#queue.push(entry)
    if (signal) this.#watch(entry, answer, signal)
    this.#schedule()
    this.#pump()
    return { entry, answer }
  }

  /** Nothing of it stays with the signal when it is answered. @param {Entry} entry @param {Promise<any>} answer @param {AbortSignal} signal */
  #watch(entry, answer, signal) {
    const abort = () => this.#drop(entry, signal.reason)
    signal.addEventListener('abort', abort)
    const forget = () => signal.removeEventListener('abort', abort)
    answer.then(forget, forget)
  }

  /** Gives one up. What was sent may have acted: it stays, to be answered, so that no key is ever skipped. @param {Entry} entry @param {any} error */
  #drop(entry, error) {
    const at = this.#queue.indexOf(entry)
    if (!entry.isSent && at >= 0) this.#queue.splice(at, 1)
    else if (at >= 0) this.givenUp?.(entry.key)
    entry.reject(error)
  }
  /** What was sent to another tab may still wait there. @type {((key: any) => void) | undefined} */
  givenUp

  /** Another tab gave one up. @param {any} key */
  withdraw(key) {
    const entry = this.#queue.find((one) => one.key === key && !one.isSent)
    if (entry) this.#drop(entry, new TriwayError('closed', { detail: 'Its own tab gave it up', hint: 'Publish again.' }))
  }

  /**
   * From now on each publish has a key of its own, which is the same whichever tab sends it.
   * @returns {Promise<void>} resolves when nothing that has a number of this session waits for its answer
   */
  share() {
    this.isShared = true
    for (const entry of this.#queue) if (!entry.isSent) entry.key ||= newNonce()
    const promise = new Promise((resolve) => (this.#onShared = () => resolve(undefined)))
    this.#schedule()
    return promise
  }
  #onShared = () => {}

  /** Nothing new is sent until `isHeld` ends. A key counts for one session: what was sent is answered as that. @returns {Promise<void>} resolves when it was */
  drain() {
    this.isHeld = true
    const promise = new Promise((resolve) => (this.#onDrained = () => resolve(undefined)))
    this.#schedule()
    return promise
  }
  isHeld = false
  #onDrained = () => {}

  /** Resolves when nothing waits, or after so long. @param {number} mostMs @returns {Promise<void>} */
  idle(mostMs) {
    if (!this.#queue.length) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, mostMs)
      this.#onIdle.push(() => resolve(clearTimeout(timer)))
    })
  }
  /** @type {(() => void)[]} */
  #onIdle = []

  /** Waits for the next deadline. */
  #schedule() {
    clearTimeout(this.#timer)
    if (!this.#queue.length) for (const tell of this.#onIdle.splice(0)) tell()
    if (this.isShared && this.#queue.every(({ key }) => key)) this.#onShared()
    if (this.isHeld && !this.#queue.some(({ isSent }) => isSent)) this.#onDrained()
    const next = Math.min(...this.#queue.map(({ deadline }) => deadline))
    if (next < Infinity) this.#timer = setTimeout(() => this.#expire(), Math.max(0, next - performance.now()))
  }

  /** Rejects what is late, and sends the rest: nothing is sent again whose key the hub may have forgotten. */
  #expire() {
    const now = performance.now()
    for (const entry of this.#queue.filter(({ deadline, keptUntil = Infinity }) => deadline <= now || keptUntil < Date.now())) {
      entry.reject(expired(this.#reason ?? this.#problem(), this.#timeoutMs, this.#transport(), !!entry.isSent))
      const at = this.#queue.indexOf(entry)
      // What is on its way stays until its answer comes, which nothing waits for: the numbers of those behind it hold.
      if (at < this.#sent) entry.deadline = Infinity
      else this.#queue.splice(at, 1)
      // Its number stays used: it may have acted.
      if (at >= this.#sent && entry.isSent) this.#first++
    }
    this.#schedule()
    this.#pump()
  }

  /** What has expired is not sent again; its numbers stay used. */
  #forgetExpired() {
    while (this.#queue[0]?.deadline === Infinity) {
      this.#queue.shift()
      this.#first++
    }
  }

  /**
   * Publishes take this route from now on; all that has no answer is sent again.
   * @param {Socket | boolean} [route]
   * @param {string} [session] id of the session whose keys are used; a new one begins its own count
   */
  setRoute(route, session = this.session) {
    // Another tab may have counted for the same session before: then the hub says where it stands.
    if (session !== this.session) this.#first = Date.now()
    this.session = session
    this.#route = route
    this.#isByGet = false
    this.#failures = this.#blockedTimes = this.#silentSince = 0
    this.#again()
  }

  /**
   * A WebSocket ended. Was it because of what we sent?
   * @param {number} code of its close
   * @returns {boolean} whether our own message caused it
   */
  wasCutBy(code) {
    const onTheWay = this.#queue.slice(0, this.#sent).filter(({ isLarge }) => !isLarge)
    const [largest] = onTheWay.sort((one, other) => (other.encoded?.length ?? 0) - (one.encoded?.length ?? 0))
    if (!largest || (code !== 1009 && (largest.encoded?.length ?? 0) < LARGE)) return false
    return (largest.isLarge = true)
  }

  #again(pauseMs = 0) {
    this.#round++
    this.#sent = 0
    this.#forgetExpired()
    clearTimeout(this.#pause)
    this.#pause = pauseMs && setTimeout(() => this.#again(), pauseMs)
    this.#expire()
  }

  /** The next ones to be sent: on a WebSocket one at a time, by requests all that fit. */
  #batch() {
    const isByRequest = this.#route === true
    const [next] = this.#queue.slice(this.#sent)
    const most = isByRequest && !this.#isByGet && !next?.isLarge ? this.#batchMost : 1
    let size = 0
    const batch = []
    for (const entry of this.#queue.slice(this.#sent, this.#sent + most)) {
      size += entry.encoded?.length ?? 0
      if (entry.encoded === undefined || (this.isHeld && !entry.isSent) || (batch[0] && (size > BATCH_SIZE || entry.isLarge))) break
      batch.push(entry)
    }
    return batch
  }

  /** Whether a request may go now: one after the other, and nothing beside one that a WebSocket would not take. @param {boolean} isByRequest */
  #mayAsk(isByRequest) {
    return !this.#isAsking && (!isByRequest || this.#route === true || !this.#sent)
  }

  /** Sends what is not on its way: on a WebSocket all at once, by requests when the last one was answered. */
  #pump() {
    while (!this.#pause && this.#route) {
      const batch = this.#batch()
      const isByRequest = this.#route === true || !!batch[0]?.isLarge
      if (!batch[0] || !this.#mayAsk(isByRequest) || !this.#isLegal(batch)) return
      this.#transmit(batch, isByRequest)
    }
  }

  /** What was queued before the hub told its limits may be too large for it. @param {Entry[]} batch */
  #isLegal(batch) {
    // What was sent already is for the hub to refuse: it may have acted.
    const isLarge = (/** @type {Entry} */ { size, isSent }) => size > this.limits.data && !isSent
    const large = batch.find(isLarge)
    if (!large) return true
    try {
      this.#checkSize(large.size)
    } catch (error) {
      this.#drop(large, error)
    }
    queueMicrotask(() => this.#pump())
    return false
  }

  /** @param {Entry[]} batch @param {boolean} isByRequest */
  async #transmit(batch, isByRequest) {
    const round = this.#round
    const texts = batch.map((entry, index) => {
      // The hub forgets a key that is no number: after that it would act again.
      if (entry.key && !entry.isSent) Object.assign(entry, { deadline: Math.min(entry.deadline, performance.now() + KEY_MOST_MS), keptUntil: Date.now() + KEY_MOST_MS })
      entry.isSent = true
      return `{"key":"${entry.key || this.session + ':' + (this.#first + this.#sent + index)}",${/** @type {string} */ (entry.encoded).slice(1)}`
    })
    this.#sent += texts.length
    this.#isAsking ||= isByRequest
    let replies
    try {
      replies = await (isByRequest ? this.#request(texts) : this.#say(texts[0], batch[0]))
    } catch (error) {
      replies = [{ error }]
    }
    if (isByRequest) this.#isAsking = false
    if (round === this.#round) {
      this.#sent -= texts.length
      await this.#settle(replies, texts.length)
    }
    this.#pump()
  }

  /** @param {string} text @param {Entry} entry @returns {Promise<Reply[]>} */
  #say(text, entry) {
    return new Promise((resolve) => /** @type {Socket} */ (this.#route)(text, (reply) => resolve([reply]), entry))
  }

  /** @param {string[]} texts @returns {Promise<Reply[]>} */
  async #request(texts) {
    const askedAt = (this.#askedAt = Date.now())
    const doubt = setTimeout(() => this.doubt(askedAt), DOUBT_MS)
    try {
      const replies = this.#isByGet ? [await this.#get(texts[0])] : await this.#requests.command(`[${texts}]`)
      if (!replies?.[0]) throw foreign()
      this.#failures = this.#blockedTimes = this.#silentSince = 0
      this.#batchMost = BATCH_COMMANDS
      return replies
    } catch (/** @type {any} */ error) {
      // What we send is JSON: a box changed the body.
      if (error.code === 'bad_json') error.kind = 'altered'
      throw error
    } finally {
      clearTimeout(doubt)
    }
  }

  /** One publish as an address. Boxes differ in how long a one they take: a longer one is proven by what may be lost. @param {string} text */
  async #get(text) {
    const { channel, data64, key, name } = JSON.parse(text)
    const data = data64 == null ? text.slice(text.indexOf(',"data":') + 8, -1) : undefined
    const query = { channels: channel, key, name, data }
    const length = this.#requests.at('pub', query).length
    if (data64 != null || length > this.limits.address) throw postBlocked()
    if (length > this.#addressMost) {
      await this.#requests.ask('healthz', { pad: '.'.repeat(length) })
      this.#addressMost = length
    }
    const answer = await this.#requests.ask('pub', query)
    return answer?.id && { ok: true, ...answer }
  }

  /** The first of the queue are answered, or none. @param {Reply[]} replies @param {number} count that were asked */
  async #settle(replies, count) {
    const [{ error }] = replies
    // A box takes no bodies of that size: by halves.
    if (error?.status === 413 && error.kind !== 'final' && count > 1) {
      this.#batchMost = count >> 1
      return
    }
    if (error?.kind && error.kind !== 'final') return this.#retry(error)
    for (const reply of replies.slice(0, count)) if (!this.#answer(reply)) return
  }

  /** @param {Reply} reply to the first of the queue @returns {boolean} whether that is done with */
  #answer({ ok, id, reached, error = { code: 'failed' } }) {
    const { code, status, expected } = error
    if (expected || code === 'session_expired' || status === 429 || status === 503 || status === 500 || status === 408) {
      if (expected) this.#recount(expected)
      else this.#reason = new TriwayError(code, error)
      if (code === 'session_expired') this.#tell('expired')
      this.#again(expected ? 0 : this.#pauseMs(error.afterMs))
      return false
    }
    const entry = /** @type {Entry} */ (this.#queue.shift())
    this.#first++
    this.#schedule()
    if (ok) {
      this.#reason = undefined
      entry.resolve({ id, reached })
    } else entry.reject(new TriwayError(code, { ...error, detail: error.detail ?? error.message, transport: this.#transport() }))
    return true
  }

  /** The hub counts otherwise: a key was used up by a refusal on the way, or what had expired never arrived. Nothing of the queue has acted. @param {number} expected */
  #recount(expected) {
    this.#sent = 0
    this.#forgetExpired()
    for (const entry of this.#queue) entry.isSent = false
    this.#first = expected
  }

  #pauseMs(afterMs = 0) {
    return afterMs || Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_MOST_MS)
  }

  /** A request failed: is it this request, or everything? @param {TriwayError} error */
  async #retry(error) {
    const round = this.#round
    this.#reason = error
    // A large one that no box lets through either.
    const [first] = this.#queue
    if (error.status === 413 && first) return void this.#answer({ error: new TriwayError('too_large', { status: 413, detail: 'A proxy takes no bodies of that size', hint: 'Send less at once.' }) })
    const isThere = error.kind !== 'away' && error.kind !== 'passing' && error.kind !== 'token' && (await this.doubt(this.#askedAt))
    if (round !== this.#round) return
    if (isThere) this.#block(error)
    this.#again(isThere ? 0 : this.#pauseMs(error.afterMs))
  }

  /** Whether the hub answers something else. Where it does not, although a stream lives, no connection is left. @param {number} askedAt when the request that fails was sent */
  async doubt(askedAt) {
    const isThere = await this.#isHubThere()
    if (isThere) this.#silentSince = 0
    else {
      this.#silentSince ||= askedAt
      if (Date.now() - this.#silentSince >= STARVED_MS) this.#tell('starved')
    }
    return isThere
  }

  /** The hub answers something else: POST, or GET, is blocked, once that is sure. @param {TriwayError} error */
  #block(error) {
    this.#blockedTimes++
    if (this.#isByGet || this.#route !== true) {
      if (this.#blockedTimes > GETS_MOST) this.#answer({ error: postBlocked() })
    } else if (error.kind === 'foreign' || error.kind === 'hung' || this.#blockedTimes >= POSTS_MOST) {
      this.#isByGet = true
      this.#blockedTimes = 0
      this.#tell('blocked')
    }
  }

  /** Nothing more is sent. @param {any} error of what waits */
  close(error) {
    this.#closedBy = error
    this.#route = undefined
    clearTimeout(this.#pause)
    clearTimeout(this.#timer)
    for (const entry of this.#queue.splice(0)) entry.reject(error)
    for (const tell of this.#onIdle.splice(0)) tell()
  }
}
