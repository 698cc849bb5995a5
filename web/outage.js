/**
 * What is known while nothing carries: how often everything failed, whether the hub was found, and
 * how long to pause. Pure; opens nothing.
 */

/** Shortest pause while nothing gets through, and the longest random time on top, in ms: never more than a request a second. */
const PAUSE_MIN_MS = 1000
const PAUSE_MAX_MS = 19_000
/** One of this number of pauses ends with an attempt instead of a check, since a gateway may block only the address of the check. */
const PAUSES_PER_ATTEMPT = 4
/** Short-lived carriers in a row that are replaced without a pause. */
const CUTS_FREE = 3
/** A carrier that lived shorter than this, in ms, was short-lived. */
const STEADY_MS = 5000

/** @typedef {import('./attempt.js').Attempt} Attempt */

export class Outage {
  /** Rounds in a row in which nothing got through. */
  failures = 0
  /** Carriers in a row that were cut soon. */
  shortLives = 0
  /** How far apart attempts are, in ms: nothing at first, later never more than one request a second. */
  apartMs = 0
  /** A check found the hub since something carried, or this pause ends without one. */
  hasChecked = false
  /** The last check found the hub. */
  isHubFound = false
  /** The last check got no answer, or one of a gateway that cannot reach the hub: what is foreign is on the way, and no portal. */
  isHubAway = false
  /** Something other than the hub answered. */
  isForeign = false
  /** Nothing but that answers. */
  isCaptive = false
  isOffline = false

  /** @param {() => number} random */
  constructor(random) {
    this.random = random
  }

  /** Something carries. */
  end() {
    this.hasChecked = this.isForeign = this.isCaptive = this.isHubFound = this.isHubAway = false
    this.apartMs = this.failures = 0
  }

  /** Everything failed. @param {number} [ms] the pause that the hub asked for @returns {number} the pause, in ms */
  fail(ms = this.pauseMs(this.failures)) {
    if (this.isForeign && !this.isHubFound && !this.isHubAway) this.isCaptive = true
    this.failures++
    this.hasChecked = this.failures % PAUSES_PER_ATTEMPT === 0
    this.apartMs = PAUSE_MIN_MS
    return ms
  }

  /** A check found the hub. */
  find() {
    this.isForeign = this.isCaptive = false
    this.hasChecked = true
  }

  /** Never the least for many at once, or all would come back in the same moment. @param {number} times in a row */
  pauseMs(times) {
    return PAUSE_MIN_MS + this.random() * Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** times)
  }

  /** A carrier ended. @param {Attempt} carrier @param {number} now @param {boolean} isPlanned */
  observeLife({ transport, openedAt, frameAt, provenAt }, now, isPlanned) {
    // A chain of polls that was answered more than once is as steady as a poll can be.
    const isSteady = now >= openedAt + STEADY_MS || (transport === 'poll' && frameAt > provenAt)
    if (isPlanned || isSteady) this.shortLives = 0
  }

  /** The pause before the same transport again, in ms. */
  nextLifeMs() {
    return this.shortLives++ < CUTS_FREE ? 0 : this.pauseMs(this.shortLives - CUTS_FREE)
  }

  toJSON() {
    const { random, ...state } = this
    return state
  }
}
