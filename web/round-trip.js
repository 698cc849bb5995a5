/**
 * The round-trip time, as far as it is known. Each answered request is an upper bound: it may have
 * needed a connection, name lookup or a token first. So the least of the recent ones counts.
 * Pure; knows no request.
 */

/** Assumed until a request was answered, in ms: a slow mobile network. */
const ASSUMED_MS = 300
/** Highest sample that counts, in ms: a request that takes longer waited for something other than the network. */
const SAMPLE_MAX_MS = 1000
/** Samples kept: enough to hold one from a warm connection, few enough to follow a change of network. */
const SAMPLES_MAX = 5
/** Round trips until the first sign of an attachment, of which a new connection takes some. */
const SIGN_ROUND_TRIPS = 2
/** The hub is near if an upper bound of the round trip is at most this, in ms: a new TLS connection takes three round trips. */
export const NEAR_MS = 360
/** An answer that took longer, in ms, may have waited for a new connection. */
const COLD_MS = 50

export class RoundTrip {
  /** Newest first, in ms. @type {number[]} */
  samples = []

  /** What the last request took that the hub answers at once, in ms: what a busy network takes now. */
  latestMs = ASSUMED_MS

  /** A request that the hub answers at once took this time. @param {number} ms */
  observe(ms) {
    this.latestMs = Math.min(ms, SAMPLE_MAX_MS)
    this.limit(ms)
  }

  /** What the hub needs beyond the round trip to accept an attachment, in ms: a slow token check, for example. */
  workMs = 0

  /** An attachment showed its first sign after this time. @param {number} ms */
  observeSign(ms) {
    this.limit(ms)
    this.workMs = Math.max(0, Math.min(ms, SAMPLE_MAX_MS) - SIGN_ROUND_TRIPS * this.ms)
  }

  /** Something that takes at least a round trip took this time. @param {number} ms */
  limit(ms) {
    this.samples = [Math.min(ms, SAMPLE_MAX_MS), ...this.samples].slice(0, SAMPLES_MAX)
  }

  /** Forgets everything: the network may be another one. */
  reset() {
    this.samples = []
    this.latestMs = ASSUMED_MS
    this.workMs = 0
  }

  get isKnown() {
    return this.samples.length > 0
  }

  /** The best estimate, in ms. */
  get ms() {
    return this.isKnown ? Math.min(...this.samples) : ASSUMED_MS
  }

  get isNear() {
    return this.isKnown && this.ms <= NEAR_MS
  }

  /** Whether a second request, on the connection that is warm now, would show more. */
  get isCold() {
    return this.isKnown && this.ms > COLD_MS
  }
}
