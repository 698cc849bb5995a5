/**
 * What is known of each network: which transport got through, which failed and for how long that is
 * remembered, and what its cuts taught. Plain data, so that it can be kept from one page to the next.
 * Pure; decides no order and knows no attempt.
 */

/** @typedef {import('./rungs.js').Transport} Transport */

/**
 * @typedef {object} Known what is known of one transport on one network; plain data
 * @property {number} [good] it carried here; until this time its hello is proof enough
 * @property {number} [until] it failed while another transport got through; until this time it is tried last
 * @property {number} [times] how often it failed like that
 * @property {number} [trial] ms that it must live next to the carrier before it takes over
 * @property {number} [beat] heartbeat in seconds that prevents an idle cut
 * @property {number} [age] in ms at which it is cut, whatever is sent
 * @property {number} [early] 1 if silent polls are cut
 * @property {number} [wait] seconds that a poll may be held
 * @property {number} [shortUntil] until this time polls are short
 * @property {number} [shortTimes] how often they had to be
 * @typedef {Partial<Record<Transport, Known>>} Learned
 */

/** How long a success is remembered, in ms. */
const DAY_MS = 24 * 3_600_000
/** A failure is remembered for this time, in ms, multiplied below; a day at most, since networks change. */
const FADE_MS = 100_000
/** Factor for the first failure, and for each further one. */
const FADE_TIMES = 6
/** The time for short polls, which cost a request a second: what starves a page often passes within a minute. */
const SHORT_FADE_MS = 10_000
/** A transport that was left must live longer than before, by this, in ms, next to the carrier before it takes over. */
const TRIAL_MIN_MS = 3000
/** But no longer than this, in ms. */
const TRIAL_MAX_MS = 60_000

/** @param {number} baseMs @param {number} times */
const fadeMs = (baseMs, times) => Math.min(baseMs * FADE_TIMES ** times, DAY_MS)

/** @param {number} ageMs */
const trialMs = (ageMs) => Math.min(TRIAL_MAX_MS, TRIAL_MIN_MS + ageMs)

export class Memory {
  /** The tag of the network, once it is known. @type {string | undefined} */
  network
  /** Of this network. @type {Learned} */
  learned
  /** Something changed since the last `save`. */
  isChanged = false

  /** @param {Record<string, any>} records as an earlier page left them @param {string} networkType the type of the network, as the platform reports it; used until the hub names the network */
  constructor(records, networkType) {
    this.records = records
    this.networkType = networkType
    this.network = records[this.#typeName]
    this.learned = { ...(this.network && records[this.network]) }
  }

  get #typeName() {
    return '?' + this.networkType
  }

  /**
   * The hub named the network.
   * @param {string} network
   * @returns {boolean} whether it is another one than before
   */
  enter(network) {
    const before = this.network
    if (network === before) return false
    // The first name of a network is that of what was learned so far.
    if (before || this.records[network]) this.learned = { ...this.records[network] }
    this.network = this.records[this.#typeName] = network
    this.isChanged = true
    return !!before
  }

  /** @param {Transport} transport @returns {Known} to be changed in place */
  known(transport) {
    return (this.learned[transport] ??= {})
  }

  /** @param {Transport} transport @param {number} now */
  isFailing(transport, now) {
    return now < (this.known(transport).until ?? 0)
  }

  /** Whether its hello is proof enough. @param {Transport} transport @param {number} now */
  isTrusted(transport, now) {
    return now < (this.known(transport).good ?? 0)
  }

  /** @param {number} now */
  hasShortPolls(now) {
    return now < (this.known('poll').shortUntil ?? 0)
  }

  /** It carries. @param {Transport} transport @param {number} now */
  succeed(transport, now) {
    Object.assign(this.known(transport), { until: 0, good: now + DAY_MS })
    this.isChanged = true
  }

  /** It failed where another transport got through. @param {Transport} transport @param {number} now @param {number} [ageMs] at which, if it carried at all */
  fail(transport, now, ageMs) {
    const it = this.known(transport)
    it.good = 0
    if (ageMs) it.trial = trialMs(ageMs)
    this.isChanged = true
    // Tried again while it is known to fail, it is no worse than it was.
    if (this.isFailing(transport, now)) return
    it.times = (it.times ?? 0) + 1
    it.until = now + fadeMs(FADE_MS, it.times)
  }

  /** Held polls do not get through here. @param {number} now @param {number} ageMs at which they failed */
  shorten(now, ageMs) {
    const polls = this.known('poll')
    polls.trial = trialMs(ageMs)
    this.isChanged = true
    if (this.hasShortPolls(now)) return
    polls.shortTimes = (polls.shortTimes ?? 0) + 1
    polls.shortUntil = now + fadeMs(SHORT_FADE_MS, polls.shortTimes)
  }

  /** Held polls carry again. */
  lengthen() {
    this.known('poll').shortUntil = 0
    this.isChanged = true
  }

  /** Stores what was learned under the network's tag. @returns {boolean} whether anything changed since the last call */
  save() {
    if (!this.isChanged || !this.network) return false
    this.records[this.network] = this.learned
    this.isChanged = false
    return true
  }
}
