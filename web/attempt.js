/**
 * One attempt: one attachment of one transport, and what was observed of it. Judges by its own
 * frames whether it is proven, late, silent or held. Knows no other attempt and no order.
 */
/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./memory.js').Known} Known @typedef {import('./cuts.js').Life} Life */
/** @typedef {import('./rungs.js').OpenStep} OpenStep @typedef {import('./rungs.js').Fact} Fact @typedef {import('./round-trip.js').RoundTrip} RoundTrip */

/**
 * Round trips until a proof: TCP, TLS, the request, and for a WS its ping. (Proof of SSE is a ping
 * after a pause of its own; of a poll, its first answer.)
 */
const PROOF_ROUND_TRIPS = { ws: 4, sse: 3, poll: 3 }
/** Factor by which several round trips in a row may take longer than the estimate. */
const JITTER_TIMES = 1.3
/** The same for a single round trip, which varies more. */
const TRIP_JITTER_TIMES = 1.5
/** Time for work at both ends, in ms. */
const WORK_MS = 100
/** A WS that is not proven within this time, in ms, counts as failed. */
const WS_MAX_MS = 1500
/** An attempt that is not proven within this time, in ms, is closed. Until then a better transport may still carry. */
const LATE_MS = 10_000
/** Time between hello and the lone ping of the hub, in ms. */
const PROBE_AFTER_MS = 150
/** Longest time between the frame before the lone ping and its arrival, in ms. The hub sends nothing for 1.2 s after that ping. */
const PROBE_MAX_MS = 1100
/** Within this time after the frame before it, in ms, a ping came in one piece with that frame: something held both, or the page was busy. */
const LONE_MS = 30
/** A lone ping is punctual if it is late by no more than this, in ms, and a round trip. */
const PUNCTUAL_MS = 100
/** The hub sends a second lone ping 5 s after hello. A ping later than this after hello, in ms, can prove a stream that the first one did not. */
const PROBE_AGAIN_MS = 3000
/** Time between the last event of a burst and the lone ping of the hub after it, in ms. */
const BURST_PING_MS = 1000
/** A frame that the hub sent alone, or the reply to a ping, arrives within this time, in ms, or within the round trips below if those take longer. */
const ALONE_MAX_MS = 1500
const ALONE_ROUND_TRIPS = 4
/** Heartbeats without a frame after which a stream is silent. */
const SILENT_BEATS = 1.5
/** How long the hub holds a poll by default, in seconds. */
const WAIT_S = 25
/** A held poll may be late by this, in ms. */
const POLL_LATE_MS = 5000
/** Late events in a row that make a stream suspect. */
const SLOW_EVENTS = 3
/** An event is late by more than this, in ms, or by more than four round trips if those take longer. */
const SLOW_MS = 1000
/** A frame was pushed by the next one if it is later than this, in ms, and arrives just when the next one is sent. */
const PUSHED_MS = 40
/** Tolerance of "just when", in ms. */
const PUSHED_WITHIN_MS = 30
/** Pushed frames in a row that show a path which delays each frame until the next. Such a path does not take over. */
const PUSHED_FRAMES = 4
/** It is left if pushed frames are later than this, in ms. */
const PUSHED_LEFT_MS = 150
/** Late events that arrive closer together than this, in ms, count once. */
const LATE_APART_MS = 50
/** Divides the silence limit: a ping that is later than the result is half a heartbeat late. */
const LATE_PART = 3
/** A carrier is replaced at this part of the age at which the network would cut it. */
const RENEW_PART = 0.8

export class Attempt {
  /** When it was proven: a WS by the reply to its ping, a stream by the lone ping, a poll by its answer. */
  provenAt = 0
  helloAt = 0
  /** When the lone ping arrived. */
  loneAt = 0
  /** When such a ping arrived, and was not late by the clock of other attempts either. */
  punctualAt = 0
  /** A frame came later than that: it may have waited for the next one. */
  hasLagged = false
  /** The last event or gap since the last ping. */
  eventAt = 0
  /** When a gateway that cannot reach the hub answered first, if this transport carried last. */
  awayAt = 0
  /** When the last frame arrived that says when it was sent, how late it was, and how many in a row were pushed by the next. */
  timedAt = 0
  timedLateMs = 0
  pushed = 0
  /** When a lone frame was found missing. */
  missedAt = 0
  /** Any ping arrived. */
  wasPinged = false
  /** Its first ping came in one piece with hello. */
  isMerged = false
  /** The hub sends lone pings after hello and after events. */
  hasProbes = false
  /** Longest silence so far, in ms. */
  gapMs = 0
  /** Late events in a row. */
  lateEvents = 0
  lateAt = -Infinity
  /** It counted as failed, though a late proof is still welcome. */
  hasFailed = false
  /** Why it is suspect, while it is. */
  suspect = ''

  /** @param {OpenStep} step @param {number} now @param {Known} known @param {RoundTrip} roundTrip @param {boolean} isOnly no other transport is allowed */
  constructor({ id, transport, why, wait = WAIT_S, pause }, now, known, roundTrip, isOnly) {
    this.id = id
    this.transport = transport
    this.why = why
    this.pause = pause
    this.roundTrip = roundTrip
    this.isOnly = isOnly
    this.openedAt = this.frameAt = now
    this.renewAt = now + RENEW_PART * (known.age ?? Infinity)
    /** Silence after which it is suspect, in ms. */
    this.silentMs = 1000 * wait + (pause ?? 0) + POLL_LATE_MS + ALONE_ROUND_TRIPS * roundTrip.ms
  }

  /** Whether it is a chain of short polls. */
  get isShort() {
    return this.pause !== undefined
  }

  get isStream() {
    return this.transport !== 'poll'
  }

  /** @param {number} now @param {Fact} fact */
  observeHello(now, { beat, probes }) {
    this.helloAt = this.frameAt = now
    this.hasProbes = !!probes && this.isStream
    if (beat && this.isStream) this.silentMs = SILENT_BEATS * 1000 * beat
  }

  /**
   * A frame, or the head of an answer, arrived.
   * @param {number} now @param {Fact} fact @param {number} lateMs by the hub's clock
   * @returns {'slow' | 'held' | undefined} a cause for suspicion
   */
  observeFrame(now, { ping, event, time }, lateMs) {
    const gapMs = now - this.frameAt
    // What was published before the attempt began is a replay, and not late.
    const isLate = lateMs > Math.max(SLOW_MS, ALONE_ROUND_TRIPS * this.roundTrip.latestMs) && lateMs < now - this.openedAt
    this.gapMs = Math.max(this.gapMs, gapMs)
    this.frameAt = now
    this.missedAt = 0
    if (event) this.eventAt = now
    if (lateMs > PUNCTUAL_MS + this.roundTrip.latestMs && lateMs < now - this.openedAt) this.hasLagged = true
    if (ping) this.#observePing(now, gapMs, isLate, lateMs)
    if (!time) return
    this.#countLate(now, isLate)
    if (this.#isPushed(now, lateMs)) {
      this.hasLagged = true
      if (lateMs > PUSHED_LEFT_MS) return 'held'
    }
    const isPingLate = ping && lateMs > this.silentMs / LATE_PART
    if (this.isStream && (this.lateEvents >= SLOW_EVENTS || isPingLate)) return 'slow'
  }

  /** Whether frames arrive only when the next one is sent, again and again. @param {number} now @param {number} lateMs */
  #isPushed(now, lateMs) {
    const sentAt = now - lateMs
    const wasPushed = Math.min(lateMs, this.timedLateMs) > PUSHED_MS && Math.abs(sentAt - this.timedAt) < PUSHED_WITHIN_MS
    this.pushed = wasPushed ? this.pushed + 1 : 0
    this.timedAt = now
    this.timedLateMs = lateMs
    return this.isStream && this.hasProbes && this.pushed >= PUSHED_FRAMES
  }

  /** What a busy page reads in one go is late once. @param {number} now @param {boolean} isLate */
  #countLate(now, isLate) {
    if (!isLate) this.lateEvents = 0
    else if (now >= this.lateAt + LATE_APART_MS) {
      this.lateEvents++
      this.lateAt = now
    }
  }

  /** @param {number} now @param {number} gapMs since the frame before it @param {boolean} isLate @param {number} lateMs */
  #observePing(now, gapMs, isLate, lateMs) {
    const ageMs = now - this.helloAt
    const isFirst = ageMs < PROBE_MAX_MS
    // A second ping can prove a stream that the first did not; but a first ping this late was held.
    const isLone = isFirst ? ageMs > LONE_MS : this.wasPinged && ageMs > PROBE_AGAIN_MS && gapMs > LONE_MS
    if (isLone && !isLate) {
      this.loneAt ||= now
      if (lateMs <= PUNCTUAL_MS + this.roundTrip.latestMs) this.punctualAt ||= now
      if (this.transport === 'sse') this.provenAt ||= now
    } else if (isFirst && !isLone && !this.wasPinged) this.isMerged = this.transport === 'sse'
    this.wasPinged = true
    this.eventAt = 0
  }

  /**
   * The hub answered what only it can answer, to this attempt.
   * @param {number} now
   * @param {number} ms that the reply to a ping took
   * @param {boolean} isBetter it would take over from a carrier that works: a path that delays each frame until the next one delays this reply too
   */
  observeProof(now, ms, isBetter) {
    this.frameAt = now
    const isPrompt = ms <= Math.max(this.#aloneMs, this.helloAt - this.openedAt)
    if (!isBetter || !this.hasProbes || isPrompt) this.provenAt ||= now
  }

  /** Its hello is taken as proof, until its lone ping must have arrived. @param {number} now */
  trust(now) {
    this.provenAt ||= now
  }

  /** @param {number} now */
  isSilent(now) {
    return now >= this.frameAt + this.silentMs
  }

  /**
   * When a single frame that the hub sent, and that nothing follows, must have arrived: the lone ping
   * after hello, or the one after an event.
   * @param {boolean} isHidden events of a hidden page may wait for it
   * @returns {number} `Infinity` if no such frame is expected
   */
  heldAt(isHidden) {
    if ((this.transport === 'sse' || this.hasProbes) && !this.wasPinged) return this.#probedAt
    if (this.hasProbes && this.eventAt && !isHidden) return this.eventAt + BURST_PING_MS + this.#aloneMs
    return Infinity
  }

  /** When the lone ping after hello must have arrived: while events arrive, it waits behind them. */
  get #probedAt() {
    return Math.max(this.helloAt, this.eventAt) + PROBE_MAX_MS
  }

  get #aloneMs() {
    return Math.max(ALONE_MAX_MS, ALONE_ROUND_TRIPS * this.roundTrip.latestMs)
  }

  /** Nothing better was found than this suspect: its evidence is collected again. */
  clearSuspicion() {
    this.suspect = ''
    this.lateEvents = this.eventAt = this.pushed = 0
    this.wasPinged = true
  }

  /** When it should be proven, judged by how far away the hub is. Until then a worse transport waits for it. */
  get proofExpectedAt() {
    const { helloAt, openedAt, transport, roundTrip } = this
    if (this.isMerged) return helloAt
    // Before anything was answered, nothing shows how far away the hub is.
    if (!helloAt) return openedAt + (roundTrip.isKnown ? PROOF_ROUND_TRIPS[transport] * JITTER_TIMES * roundTrip.ms + roundTrip.workMs + WORK_MS : LATE_MS)
    // Hello itself took at least two round trips on a WS.
    const tripMs = TRIP_JITTER_TIMES * Math.min(roundTrip.ms, (helloAt - openedAt) / 2)
    if (transport === 'sse') return helloAt + PROBE_AFTER_MS + Math.max(PROBE_AFTER_MS, tripMs / 2)
    return helloAt + tripMs + WORK_MS
  }

  /** When it counts as failed, or once it has, when it is closed. */
  get unprovenAt() {
    const { hasFailed, transport, openedAt, helloAt } = this
    const lateAt = openedAt + LATE_MS
    if (hasFailed || this.isOnly) return lateAt
    if (transport === 'sse' && helloAt) return Math.min(this.#probedAt, lateAt)
    if (transport === 'ws') return Math.min(Math.max(openedAt + WS_MAX_MS, this.proofExpectedAt, this.hasProbes ? this.#probedAt : 0), lateAt)
    return lateAt
  }

  /** @param {number} now */
  isOverdue(now) {
    return now >= this.openedAt + LATE_MS
  }

  /** Its end, as a life to learn from. @param {number} now @returns {Life} */
  life(now) {
    return { ageMs: now - this.openedAt, idleMs: now - this.frameAt, gapMs: this.gapMs, provenMs: now - this.provenAt }
  }

  toJSON() {
    const { roundTrip, ...state } = this
    return state
  }
}
