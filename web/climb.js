/**
 * The way back up: when the transports that are better than the carrier are tried again, and when
 * changing between them has become flapping. Pure; opens nothing.
 */

/** Pauses before better transports than the carrier are tried again, in ms; the last one repeats. */
const PAUSES_MS = [30_000, 120_000, 600_000, 1_800_000]
/** Changes of transport within the time below that are flapping: then the last transport is best for a while. */
const CHANGES_MAX = 6
const CHANGES_MS = 300_000
/** Pauses skipped after flapping, so that the next is the third one. */
const CALM_PAUSES = 2
/** Least pause before a page that had no connection left for requests tries a better transport, in ms. */
const STARVED_MS = 60_000

export class Climb {
  /** When the next attempt at something better is planned; 0 while nothing is better. */
  at = 0
  /** But not before. */
  notBefore = 0
  /** Why the next one begins. */
  why = 'up'
  /** Climbs since the best transport carried. */
  count = 0
  /** When the transport changed, newest first. @type {number[]} */
  changes = []

  get nextAt() {
    return this.at && Math.max(this.at, this.notBefore)
  }

  /** Something is better than the carrier. @param {number} now */
  plan(now) {
    this.at ||= now + PAUSES_MS[0]
  }

  /** The carrier is the best. */
  cancel() {
    this.at = this.count = 0
  }

  /** Something better may work now. @param {number} now */
  planNow(now) {
    this.at = now
  }

  /** The same, if anything is better. @param {number} now @param {string} [why] */
  advance(now, why = 'up') {
    if (!this.at) return
    this.at = now
    this.why = why
  }

  /** No connection was left to send. @param {number} now */
  postpone(now) {
    this.notBefore = now + STARVED_MS
    this.at ||= this.notBefore
  }

  /** A climb begins now; plans the next one. @param {number} now @returns {string} why it begins */
  begin(now) {
    const { why } = this
    this.why = 'up'
    this.count++
    this.at = now + PAUSES_MS[Math.min(this.count, PAUSES_MS.length - 1)]
    return why
  }

  /** The transport changed. @param {number} now @returns {boolean} whether it changes all the time */
  isFlapping(now) {
    this.changes = [now, ...this.changes].slice(0, CHANGES_MAX)
    if (this.changes.length < CHANGES_MAX || this.changes[CHANGES_MAX - 1] <= now - CHANGES_MS) return false
    this.count = CALM_PAUSES
    this.at = now + PAUSES_MS[CALM_PAUSES]
    return true
  }
}
