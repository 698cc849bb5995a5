/**
 * The queue of publishes: bounded, in order, each once. Every publish has the key `SESSIONID:N`. Until it is
 * answered it is sent again, by any route, under the same key, and the hub acts on each key once. A publish
 * waits through an outage for a stated time. Knows no ladder and no channel; requests are in
 * publish-requests.js.
 *
 * The first `#sent` entries are under way. An entry leaves the queue when it is answered, or rejected before
 * it was sent. One that was sent and then rejected stays until its answer comes, since its number is used.
 */
import { TriwayError } from './error.js'
import { newNonce } from './frame.js'
import { expired, postBlocked, queueFull, tooLarge } from './publish-errors.js'
import { PublishRequests } from './publish-requests.js'

/** Publishes in the queue: more than any burst of a page, and a bound for its memory. */
const QUEUE_COMMANDS = 1000
/** Characters in the queue: a page that is cut off must not grow without end. */
const QUEUE_SIZE = 8 * 1024 * 1024
/** Characters in one POST: an answer that is lost costs one batch. */
const BATCH_SIZE = 256 * 1024
/** Longest time for which a publish with a key of its own is sent again, in ms: the hub remembers such a key for five minutes. */
const KEY_MAX_MS = 270_000
/** Limits until a hello states those of the hub. */
const LIMITS = { data: 64 * 1024, address: 4096 }
/** A message of this size, in characters, may be why a connection was cut. */
const LARGE = 16 * 1024

/**
 * @typedef {object} Entry
 * @property {string} [encoded] the command without its key; absent while a Blob is read
 * @property {number} size of the data, as the hub counts it
 * @property {any} [key] of its own, instead of a number of the session
 * @property {number} deadline when it is rejected, by `performance.now()`, which no change of the clock moves
 * @property {number} [keptUntil] when the hub may forget its key, by `Date.now()`, which includes sleep
 * @property {boolean} [isSent] the hub may have acted on it
 * @property {boolean} [isLarge] a connection was cut for its size: it goes by a request of its own
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 *
 * @typedef {import('./publish-requests.js').Reply} Reply
 * @typedef {(json: string, onReply: (reply: any) => any, entry: Entry) => void} Socket
 */

export class Outbox {
  /** @type {Entry[]} */
  #queue = []
  /** Id of the session whose numbers are the keys. */
  session = ''
  /** N in the key of the first entry; the others follow. */
  #firstNumber = 0
  /** How publishes are sent: over a socket, or `true` for requests. @type {Socket | boolean | undefined} */
  #route
  #isRequesting = false
  /** How many entries, from the first, are under way. */
  #sent = 0
  /** Grows whenever everything unanswered is sent again: an answer to an earlier round no longer counts. */
  #round = 0
  /** @type {any} */
  #pause
  /** @type {any} */
  #timer
  /** Why the last request failed. @type {any} */
  #reason
  /** Why the queue is closed. @type {any} */
  #closedBy

  /**
   * @param {object} context
   * @param {import('./requests.js').Requests} context.requests
   * @param {number} context.timeoutMs how long a publish waits for its answer
   * @param {() => import('./rungs.js').Transport | null} context.transport that carries, named in errors
   * @param {() => Promise<boolean>} context.isHubThere requests something small
   * @param {(fact: import('./publish-requests.js').Fact) => void} context.report
   * @param {() => any} context.problem why nothing carries, if no request of a publish has failed
   * @param {boolean} context.isShared tabs share the connection: another tab may send a publish again, so its key must be the same in all tabs
   */
  constructor({ requests, timeoutMs, transport, isHubThere, report, problem, isShared }) {
    this.#requests = new PublishRequests({ requests, isHubThere, report, addressLimit: () => this.limits.address })
    this.#timeoutMs = timeoutMs
    this.#transport = transport
    this.#report = report
    this.#problem = problem
    this.isShared = isShared
    /** Of the hub, by its last hello. */
    this.limits = LIMITS
  }
  #requests
  #timeoutMs
  #transport
  #report
  #problem

  /**
   * @param {object} command
   * @param {string} command.head JSON members before the data
   * @param {import('./data.js').Encoded | Promise<import('./data.js').Encoded>} command.data
   * @param {number} command.sizeBefore its size, as far as it is known before a Blob is read
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
    this.#flush()
  }

  /** @param {number} size */
  #checkSize(size) {
    if (size > this.limits.data) throw tooLarge(size, this.limits.data)
  }

  /**
   * @param {string | undefined} encoded
   * @param {number} size
   * @param {AbortSignal} [signal]
   * @param {any} [key] given by another tab, with its deadline
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
    this.#flush()
    return { entry, answer }
  }

  /** Listens to the signal until the publish is answered. @param {Entry} entry @param {Promise<any>} answer @param {AbortSignal} signal */
  #watch(entry, answer, signal) {
    const abort = () => this.#drop(entry, signal.reason)
    signal.addEventListener('abort', abort)
    const forget = () => signal.removeEventListener('abort', abort)
    answer.then(forget, forget)
  }

  /** Rejects a publish. One that was sent stays in the queue, since the hub may have acted on it and its number is used. @param {Entry} entry @param {any} error */
  #drop(entry, error) {
    const at = this.#queue.indexOf(entry)
    if (!entry.isSent && at >= 0) this.#queue.splice(at, 1)
    else if (at >= 0) this.onWithdrawn?.(entry.key)
    entry.reject(error)
  }
  /** A publish that was sent through another tab was given up: it may still wait there. @type {((key: any) => void) | undefined} */
  onWithdrawn

  /** Another tab gave up a publish that waits here. @param {any} key */
  withdraw(key) {
    const entry = this.#queue.find((one) => one.key === key && !one.isSent)
    if (entry) this.#drop(entry, new TriwayError('closed', { detail: 'Its own tab gave it up', hint: 'Publish again.' }))
  }

  /**
   * From now on each publish has a key of its own, which is the same in whichever tab sends it.
   * @returns {Promise<void>} resolves when no publish with a number of this session waits for its answer
   */
  share() {
    this.isShared = true
    for (const entry of this.#queue) if (!entry.isSent) entry.key ||= newNonce()
    const promise = new Promise((resolve) => (this.#onShared = () => resolve(undefined)))
    this.#schedule()
    return promise
  }
  #onShared = () => {}

  /** Holds back everything that was not sent yet, until `isHeld` is reset. A key belongs to one session, so what was sent must be answered first. @returns {Promise<void>} resolves when it is */
  drain() {
    this.isHeld = true
    const promise = new Promise((resolve) => (this.#onDrained = () => resolve(undefined)))
    this.#schedule()
    return promise
  }
  isHeld = false
  #onDrained = () => {}

  /** Resolves when the queue is empty, or after `maxMs`. @param {number} maxMs @returns {Promise<void>} */
  idle(maxMs) {
    if (!this.#queue.length) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, maxMs)
      this.#onIdle.push(() => resolve(clearTimeout(timer)))
    })
  }
  /** @type {(() => void)[]} */
  #onIdle = []

  /** Reports an empty or drained queue, and sets the timer for the next deadline. */
  #schedule() {
    clearTimeout(this.#timer)
    if (!this.#queue.length) for (const onIdle of this.#onIdle.splice(0)) onIdle()
    if (this.isShared && this.#queue.every(({ key }) => key)) this.#onShared()
    if (this.isHeld && !this.#queue.some(({ isSent }) => isSent)) this.#onDrained()
    const next = Math.min(...this.#queue.map(({ deadline }) => deadline))
    if (next < Infinity) this.#timer = setTimeout(() => this.#expire(), Math.max(0, next - performance.now()))
  }

  /** Rejects what is past its deadline, or whose key the hub may have forgotten, and sends the rest. */
  #expire() {
    const now = performance.now()
    for (const entry of this.#queue.filter(({ deadline, keptUntil = Infinity }) => deadline <= now || keptUntil < Date.now())) {
      entry.reject(expired(this.#reason ?? this.#problem(), this.#timeoutMs, this.#transport(), !!entry.isSent))
      const at = this.#queue.indexOf(entry)
      // What is under way stays until its answer comes, so that the entries behind it keep their numbers.
      if (at < this.#sent) entry.deadline = Infinity
      else this.#queue.splice(at, 1)
      // The hub may have acted on it, so its number stays used.
      if (at >= this.#sent && entry.isSent) this.#firstNumber++
    }
    this.#schedule()
    this.#flush()
  }

  /** Expired entries are not sent again; their numbers stay used. */
  #forgetExpired() {
    while (this.#queue[0]?.deadline === Infinity) {
      this.#queue.shift()
      this.#firstNumber++
    }
  }

  /**
   * Publishes take this route from now on; everything unanswered is sent again.
   * @param {Socket | boolean} [route] none while nothing carries
   * @param {string} [session] id of the session whose numbers are used; another session has a count of its own
   */
  setRoute(route, session = this.session) {
    // Another tab may have used numbers of the same session: then the hub says which one comes next.
    if (session !== this.session) this.#firstNumber = Date.now()
    this.session = session
    this.#route = route
    this.#requests.reset()
    this.#resend()
  }

  /**
   * A WebSocket was closed: marks the largest message under way, if that is probably the cause.
   * @param {number} code of the close
   * @returns {boolean} whether a message of this client caused it
   */
  wasCutBy(code) {
    const underWay = this.#queue.slice(0, this.#sent).filter(({ isLarge }) => !isLarge)
    const [largest] = underWay.sort((one, other) => (other.encoded?.length ?? 0) - (one.encoded?.length ?? 0))
    if (!largest || (code !== 1009 && (largest.encoded?.length ?? 0) < LARGE)) return false
    return (largest.isLarge = true)
  }

  /** Sends everything unanswered again, now or after a pause. */
  #resend(pauseMs = 0) {
    this.#round++
    this.#sent = 0
    this.#forgetExpired()
    clearTimeout(this.#pause)
    this.#pause = pauseMs && setTimeout(() => this.#resend(), pauseMs)
    this.#expire()
  }

  /** The next entries to be sent: one at a time over a socket, all that fit by request. */
  #batch() {
    const isByRequest = this.#route === true
    const [next] = this.#queue.slice(this.#sent)
    const most = isByRequest && !next?.isLarge ? this.#requests.batchMax : 1
    let size = 0
    const batch = []
    for (const entry of this.#queue.slice(this.#sent, this.#sent + most)) {
      size += entry.encoded?.length ?? 0
      if (entry.encoded === undefined || (this.isHeld && !entry.isSent) || (batch[0] && (size > BATCH_SIZE || entry.isLarge))) break
      batch.push(entry)
    }
    return batch
  }

  /** Whether the next batch may go now: requests go one after the other, and a large publish waits for the socket. @param {boolean} isByRequest */
  #mayRequest(isByRequest) {
    return !this.#isRequesting && (!isByRequest || this.#route === true || !this.#sent)
  }

  /** Sends what is not under way: over a socket at once, by request when the last request was answered. */
  #flush() {
    while (!this.#pause && this.#route) {
      const batch = this.#batch()
      const isByRequest = this.#route === true || !!batch[0]?.isLarge
      if (!batch[0] || !this.#mayRequest(isByRequest) || !this.#fitsLimit(batch)) return
      this.#send(batch, isByRequest)
    }
  }

  /** Rejects an entry that was queued before the hub stated its limits, and is too large for them. @param {Entry[]} batch */
  #fitsLimit(batch) {
    // The hub may have acted on what was sent: only the hub can refuse that.
    const isLarge = (/** @type {Entry} */ { size, isSent }) => size > this.limits.data && !isSent
    const large = batch.find(isLarge)
    if (!large) return true
    try {
      this.#checkSize(large.size)
    } catch (error) {
      this.#drop(large, error)
    }
    queueMicrotask(() => this.#flush())
    return false
  }

  /** @param {Entry[]} batch @param {boolean} isByRequest */
  async #send(batch, isByRequest) {
    const round = this.#round
    const texts = batch.map((entry, index) => {
      // The hub forgets a key that is no number; sent after that, it would act again.
      if (entry.key && !entry.isSent) Object.assign(entry, { deadline: Math.min(entry.deadline, performance.now() + KEY_MAX_MS), keptUntil: Date.now() + KEY_MAX_MS })
      entry.isSent = true
      return `{"key":"${entry.key || this.session + ':' + (this.#firstNumber + this.#sent + index)}",${/** @type {string} */ (entry.encoded).slice(1)}`
    })
    this.#sent += texts.length
    this.#isRequesting ||= isByRequest
    let replies
    try {
      replies = await (isByRequest ? this.#requests.send(texts) : this.#sendBySocket(texts[0], batch[0]))
    } catch (error) {
      replies = [{ error }]
    }
    if (isByRequest) this.#isRequesting = false
    if (round === this.#round) {
      this.#sent -= texts.length
      await this.#onReplies(replies, texts.length)
    }
    this.#flush()
  }

  /** @param {string} text @param {Entry} entry @returns {Promise<Reply[]>} */
  #sendBySocket(text, entry) {
    return new Promise((resolve) => /** @type {Socket} */ (this.#route)(text, (reply) => resolve([reply]), entry))
  }

  /** A batch was answered, or failed as a whole. @param {Reply[]} replies @param {number} count of the batch */
  async #onReplies(replies, count) {
    const [{ error }] = replies
    // A proxy refuses bodies of that size.
    if (error?.status === 413 && error.kind !== 'final' && count > 1) return this.#requests.halveBatch(count)
    if (error?.kind && error.kind !== 'final') return this.#retry(error)
    for (const reply of replies.slice(0, count)) if (!this.#onReply(reply)) return
  }

  /** @param {Reply} reply to the first entry @returns {boolean} whether that entry is done */
  #onReply({ ok, id, reached, error = { code: 'failed' } }) {
    const { code, status, expected } = error
    if (expected || code === 'session_expired' || status === 429 || status === 503 || status === 500 || status === 408) {
      if (expected) this.#renumber(expected)
      else this.#reason = new TriwayError(code, error)
      if (code === 'session_expired') this.#report('expired')
      this.#resend(expected ? 0 : this.#requests.pauseMs(error.afterMs))
      return false
    }
    const entry = /** @type {Entry} */ (this.#queue.shift())
    this.#firstNumber++
    this.#schedule()
    if (ok) {
      this.#reason = undefined
      entry.resolve({ id, reached })
    } else entry.reject(new TriwayError(code, { ...error, detail: error.detail ?? error.message, transport: this.#transport() }))
    return true
  }

  /** The hub expects another number: a refusal used one up, or an expired entry never arrived. It has acted on none of the queue. @param {number} expected */
  #renumber(expected) {
    this.#sent = 0
    this.#forgetExpired()
    for (const entry of this.#queue) entry.isSent = false
    this.#firstNumber = expected
  }

  /** A request failed: either this kind of request fails, or everything does. @param {TriwayError} error */
  async #retry(error) {
    const round = this.#round
    this.#reason = error
    // A single publish that a proxy refuses for its size.
    const [first] = this.#queue
    if (error.status === 413 && first) return void this.#onReply({ error: new TriwayError('too_large', { status: 413, detail: 'A proxy takes no bodies of that size', hint: 'Send less at once.' }) })
    const isThere = error.kind !== 'away' && error.kind !== 'passing' && error.kind !== 'token' && (await this.#requests.checkHub())
    if (round !== this.#round) return
    if (isThere && this.#requests.observeBlocked(error, this.#route === true)) this.#onReply({ error: postBlocked() })
    this.#resend(isThere ? 0 : this.#requests.pauseMs(error.afterMs))
  }

  /** A request beside the publishes hangs. @param {number} requestedAt when it was sent */
  checkHub(requestedAt) {
    return this.#requests.checkHub(requestedAt)
  }

  /** Ends the queue. @param {any} error with which everything in it is rejected */
  close(error) {
    this.#closedBy = error
    this.#route = undefined
    clearTimeout(this.#pause)
    clearTimeout(this.#timer)
    for (const entry of this.#queue.splice(0)) entry.reject(error)
    for (const onIdle of this.#onIdle.splice(0)) onIdle()
  }
}
