/**
 * One attempt: one attachment of one transport, and what was observed of it. Judges by its own
 * frames whether it is proven, late, silent or held. Knows no other attempt and no order.
 */
import { WAIT_S } from './cuts.js'

/** @typedef {import('./cuts.js').Transport} Transport @typedef {import('./cuts.js').Known} Known @typedef {import('./cuts.js').Life} Life */
/** @typedef {import('./rungs.js').OpenStep} OpenStep @typedef {import('./rungs.js').Fact} Fact @typedef {import('./round-trip.js').RoundTrip} RoundTrip */

/**
 * Round trips until a proof: TCP, TLS, the request, and for a WS its ping. (Proof of SSE is a ping
 * after a pause of its own; of a poll, its first answer.)
 */
const PROOF_ROUND_TRIPS = { ws: 4, sse: 3, poll: 3 }
/** Round trips vary, a single one more than the sum of several, and take work at both ends: so many times as long, and so many ms more. */
const JITTER_TIMES = 1.3
const TRIP_JITTER_TIMES = 1.5
const WORK_MS = 100
/** A WS that is not proven by then, in ms, counts as failed. */
const WS_MOST_MS = 1500
/** An attempt that is not proven by then, in ms, is closed; until then a better transport is still welcome. */
const LATE_MS = 10_000
/** The hub sends the lone ping so long after hello, in ms. */
const PROBE_AFTER_MS = 150
/** The lone ping must arrive before this, in ms after the frame before it: it is followed by 1.2 s of silence. */
const PROBE_MOST_MS = 1100
/** Sooner than this, in ms after the frame before it, it came in one piece with that: something held both, or the page was busy. */
const LONE_MS = 30
/** A lone ping is punctual up to this, in ms, and a round trip. */
const PUNCTUAL_MS = 100
/** The hub sends a second lone ping 5 s after hello. A ping so long after hello, in ms, proves what the first could not. */
const PROBE_AGAIN_MS = 3000
/** After events the hub sends a lone ping, so long after the last one, in ms. */
const BURST_PING_MS = 1000
/** A frame that the hub sent alone, or the reply to a ping, arrives within this, in ms, or four round trips. */
const ALONE_MOST_MS = 1500
const ALONE_ROUND_TRIPS = 4
/** A stream is silent after so many heartbeats without a frame. */
const SILENT_BEATS = 1.5
/** A held poll may be late by this, in ms. */
const POLL_LATE_MS = 5000
/** So many events in a row that are later than this, in ms, or than four round trips, make a stream suspect. */
const SLOW_EVENTS = 3
const SLOW_MS = 1000
/** A frame that is later than this, in ms, and arrives when the next one is sent, give or take so many ms, was pushed by that. */
const PUSHED_MS = 40
const PUSHED_WITHIN_MS = 30
/** So many in a row show a path that delays each frame until the next: it does not take over. Where they are later than this, in ms, it is left. */
const PUSHED_FRAMES = 4
const PUSHED_LEFT_MS = 150
/** Late events that arrive closer together than this, in ms, count once. */
const LATE_APART_MS = 50
/** A ping that is later than the silence limit over this is half a heartbeat late. */
const LATE_PART = 3
/** A carrier is replaced at this part of the age at which it would be cut. */
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
  /** When a gateway that cannot reach the hub answered first, where this transport carried last. */
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
    const isFirst = ageMs < PROBE_MOST_MS
    // A second ping proves what the first could not; but a first one that comes so late was held.
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
   * @param {boolean} isUp it would take over from a carrier that works: a path that delays each frame until the next one delays this reply too
   */
  observeProof(now, ms, isUp) {
    this.frameAt = now
    const isPrompt = ms <= Math.max(this.#aloneMs, this.helloAt - this.openedAt)
    if (!isUp || !this.hasProbes || isPrompt) this.provenAt ||= now
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
    return Math.max(this.helloAt, this.eventAt) + PROBE_MOST_MS
  }

  get #aloneMs() {
    return Math.max(ALONE_MOST_MS, ALONE_ROUND_TRIPS * this.roundTrip.latestMs)
  }

  /** Nothing better was found than this suspect: its evidence is collected again. */
  acquit() {
    this.suspect = ''
    this.lateEvents = this.eventAt = this.pushed = 0
    this.wasPinged = true
  }

  /** When it should be proven, judged by how far away the hub is. Until then a worse transport waits for it. */
  get expectedAt() {
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
    if (transport === 'ws') return Math.min(Math.max(openedAt + WS_MOST_MS, this.expectedAt, this.hasProbes ? this.#probedAt : 0), lateAt)
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
