/**
 * Publishes by requests, where no WebSocket takes them: a batch by POST, or one at a time by GET where the
 * network blocks POST. It finds out which of the two passes, and whether anything does. Knows no queue.
 */
import { foreign } from './frame.js'
import { postBlocked } from './publish-errors.js'

/** Commands in one POST: an answer that is lost costs one batch. */
const BATCH_COMMANDS = 100
/** First and longest pause after a request that failed, in ms. */
const RETRY_FIRST_MS = 250
const RETRY_MAX_MS = 5000
/** POSTs that failed in a row while the hub answered something else, after which POST counts as blocked; and GETs that may fail before a publish is given up. */
const POSTS_MAX = 2
const GETS_MAX = 2
/** Longest address to begin with, in characters: every proxy accepts it. */
const ADDRESS_FIRST = 500
/** Time without an answer after which the client checks whether the hub answers anything else, in ms. */
const CHECK_AFTER_MS = 2500
/** If nothing but the stream gets through for this time, in ms, no connection is left for requests. */
const STARVED_MS = 5000

/** @typedef {{ok?: any, id?: string, reached?: any, error?: any}} Reply @typedef {'expired' | 'blocked' | 'starved'} Fact */

export class PublishRequests {
  /** The network blocks POST: one publish at a time, by GET. */
  #isByGet = false
  #addressMax = ADDRESS_FIRST
  #batchMax = BATCH_COMMANDS
  /** Requests that failed in a row, and those of them that failed while the hub answered something else. */
  #failures = 0
  #blockedTimes = 0
  /** Since when nothing but the stream gets through, in ms since 1970; 0 while requests are answered. */
  #silentSince = 0
  /** When the last request was sent, in ms since 1970. */
  #requestedAt = 0
  #requests
  #isHubThere
  #report
  #addressLimit

  /**
   * @param {object} context
   * @param {import('./requests.js').Requests} context.requests
   * @param {() => Promise<boolean>} context.isHubThere requests something small
   * @param {(fact: Fact) => void} context.report
   * @param {() => number} context.addressLimit of a publishing GET, in characters, as the hub states it
   */
  constructor({ requests, isHubThere, report, addressLimit }) {
    this.#requests = requests
    this.#isHubThere = isHubThere
    this.#report = report
    this.#addressLimit = addressLimit
  }

  /** Another transport carries: what was found out about requests is out of date. */
  reset() {
    this.#isByGet = false
    this.#failures = this.#blockedTimes = this.#silentSince = 0
  }

  /** Commands that one request may have. */
  get batchMax() {
    return this.#isByGet ? 1 : this.#batchMax
  }

  /** A proxy refused a body of that size. @param {number} count of its commands */
  halveBatch(count) {
    this.#batchMax = count >> 1
  }

  /** The pause before the next request, in ms. @param {number} [afterMs] as the hub asked for it */
  pauseMs(afterMs = 0) {
    return afterMs || Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_MAX_MS)
  }

  /** @param {string[]} commands as JSON; a single one where `batchMax` is 1 @returns {Promise<Reply[]>} */
  async send(commands) {
    const requestedAt = (this.#requestedAt = Date.now())
    const timer = setTimeout(() => this.checkHub(requestedAt), CHECK_AFTER_MS)
    try {
      const replies = this.#isByGet ? [await this.#get(commands[0])] : await this.#requests.command(`[${commands}]`)
      if (!replies?.[0]) throw foreign()
      this.#failures = this.#blockedTimes = this.#silentSince = 0
      this.#batchMax = BATCH_COMMANDS
      return replies
    } catch (/** @type {any} */ error) {
      // The client sends valid JSON: something on the way changed the body.
      if (error.code === 'bad_json') error.kind = 'altered'
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** One publish as an address. Proxies differ in how long an address may be: a longer one is tried first on a request that may be lost. @param {string} command */
  async #get(command) {
    const { channel, data64, key, name } = JSON.parse(command)
    const data = data64 == null ? command.slice(command.indexOf(',"data":') + 8, -1) : undefined
    const query = { channels: channel, key, name, data }
    const { length } = this.#requests.address('pub', query)
    if (data64 != null || length > this.#addressLimit()) throw postBlocked()
    if (length > this.#addressMax) {
      await this.#requests.request('healthz', { pad: '.'.repeat(length) })
      this.#addressMax = length
    }
    const answer = await this.#requests.request('pub', query)
    return answer?.id && { ok: true, ...answer }
  }

  /** Whether the hub answers something else. If it does not, although a stream lives, no connection is left. @param {number} [requestedAt] when the request that fails was sent */
  async checkHub(requestedAt = this.#requestedAt) {
    const isThere = await this.#isHubThere()
    if (isThere) this.#silentSince = 0
    else {
      this.#silentSince ||= requestedAt
      if (Date.now() - this.#silentSince >= STARVED_MS) this.#report('starved')
    }
    return isThere
  }

  /**
   * A request failed while the hub answers something else: once that is sure, POST counts as blocked.
   * @param {any} error @param {boolean} isByPost it was a batch, and GET may be tried next
   * @returns {boolean} whether the publish is to be given up
   */
  observeBlocked(error, isByPost) {
    this.#blockedTimes++
    if (this.#isByGet || !isByPost) return this.#blockedTimes > GETS_MAX
    if (error.kind !== 'foreign' && error.kind !== 'hung' && this.#blockedTimes < POSTS_MAX) return false
    this.#isByGet = true
    this.#blockedTimes = 0
    this.#report('blocked')
    return false
  }
}
