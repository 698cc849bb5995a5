/**
 * A round: what is still to be tried, why, and when the next of it is tried next to the one before.
 * Pure; opens nothing itself.
 */

/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./attempt.js').Attempt} Attempt @typedef {import('./round-trip.js').RoundTrip} RoundTrip */
/** @typedef {Transport | 'short' | 'check'} Rung `short` are short polls; `check` finds out whether the hub is there */

/** Time after which the next transport is tried next to one that is not proven, in ms, if the hub is near; earlier if that one is overdue. */
const HEDGE_NEAR_MS = { ws: 350, sse: 250, poll: 250 }
/** The same if the hub is far, or its distance is not known. */
const HEDGE_FAR_MS = { ws: 350, sse: 900, poll: 1500 }
/** Time in which a request that a gateway refused, because the hub is away, has been repeated, in ms. */
const AWAY_AGAIN_MS = 2000
/** A check that is not answered within this, in ms, is repeated. */
const CHECK_MAX_MS = 3000

export class Round {
  /** Why it began. */
  cause = ''
  /** Why the next attempt is made. */
  why = ''
  /** What is left of it. @type {Rung[]} */
  rungs = []
  /** Its attempts replace the carrier. */
  replaces = false
  /** It pauses until then. */
  pausedUntil = 0
  /** A check is under way. */
  isChecking = false
  /** The next is tried next to this attempt. @type {Attempt | undefined} */
  hedged
  /** Streams that were tried again because their first ping was merged with hello. */
  mergedRetries = 0

  /** @param {string} why @param {Rung[]} rungs @param {boolean} replaces @param {number} now */
  begin(why, rungs, replaces, now) {
    Object.assign(this, { cause: why, why, rungs, replaces, pausedUntil: now, isChecking: false, hedged: undefined, mergedRetries: 0 })
  }

  /** Nothing gets through: what comes next, after a pause. @param {Rung[]} rungs @param {number} until */
  pause(rungs, until) {
    Object.assign(this, { rungs, pausedUntil: until, isChecking: false, hedged: undefined })
  }

  end() {
    this.rungs = []
  }

  /** Nothing is tried before a check has found the hub. */
  awaitCheck() {
    this.rungs = ['check']
    this.hedged = undefined
  }

  /** An attempt is over. @param {Attempt} attempt */
  forget(attempt) {
    if (this.hedged === attempt) this.hedged = undefined
  }

  /** An attempt was opened. @param {Attempt} attempt @param {number} pausedUntil */
  open(attempt, pausedUntil) {
    this.hedged = attempt
    this.pausedUntil = pausedUntil
    // What is tried next to an attempt is tried because that is slow.
    if (!this.replaces) this.why = `${attempt.transport}:slow`
  }

  /** A check is made, and repeated if there is no answer. @param {number} now */
  check(now) {
    this.rungs = ['check']
    this.isChecking = true
    this.pausedUntil = now + CHECK_MAX_MS
  }

  /** When the next is tried next to the one before it. @param {RoundTrip} roundTrip */
  hedgeAt({ isNear }) {
    const { hedged } = this
    if (!hedged || hedged.hasFailed) return 0
    // It only waits until it may carry.
    if (hedged.provenAt) return Infinity
    if (hedged.helloAt) return hedged.proofExpectedAt
    const maxMs = (isNear ? HEDGE_NEAR_MS : HEDGE_FAR_MS)[hedged.transport]
    const hedgeAt = Math.min(hedged.proofExpectedAt, hedged.openedAt + maxMs)
    return hedged.awayAt ? hedgeAt + AWAY_AGAIN_MS : hedgeAt
  }

  toJSON() {
    return { ...this, hedged: this.hedged?.id }
  }
}
