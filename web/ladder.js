/**
 * The ladder: what was seen, and when, decides what to try, and when.
 * Pure: the clock and randomness are arguments; knows no socket, no frame's content, no handle.
 * A *try* is one attach of one transport. The *carrier* is the proven try that carries the session.
 * Facts go in by `see`, steps come out; `wakeAt` says when to ask again if nothing happens.
 */

/** The round-trip time to assume until one was measured, in ms: a slow mobile network. */
const RTT_ASSUMED_MS = 300
/** A try that is not proven by then is closed; until then a better transport is still welcome. */
const LATE_MS = 10_000
/** First and longest pause between rounds of tries that all failed, in ms. */
const BACKOFF_FIRST_MS = 500
const BACKOFF_MOST_MS = 20_000
/** A cut carrier is replaced at once, but after so many in a row that lived shorter than this, in ms, with a pause. */
const CUTS_FREE = 3
const STEADY_MS = 5_000

/**
 * @typedef {'ws' | 'sse' | 'poll'} Transport
 * @typedef {object} Try
 * @property {number} id
 * @property {Transport} transport
 * @property {string} why
 * @property {number} openedAt
 * @property {number} [provenAt]
 * @property {boolean} [failed] counted as failed, though a late proof is still welcome
 * @property {boolean} [replaces] takes over when proven, whatever the carrier is
 * @typedef {{do: 'open', id: number, transport: Transport, why: string} | {do: 'close', id: number}
 *   | {do: 'carry', id: number, transport: Transport, reason: string}
 *   | {do: 'state', state: string, reason: string}} Step
 * @typedef {{type: 'start' | 'tick' | 'reopen'} | {type: 'use', transport: Transport | 'auto'}
 *   | {type: 'proof', id: number} | {type: 'rtt', ms: number}
 *   | {type: 'end', id: number, reason: string, afterMs?: number, planned?: boolean}} Fact
 */

export class Ladder {
  /** @type {Map<number, Try>} */
  #tries = new Map()
  /** @type {Try | undefined} */
  #carrier
  /** What is still to be opened in this round, in order. @type {Transport[]} */
  #round = []
  #roundWhy = 'start'
  #roundReplaces = false
  #nextAt = 0
  #retryAt = 0
  /** Rounds in a row in which all tries failed. */
  #failures = 0
  /** Carriers in a row that were cut soon. */
  #cuts = 0
  #lastId = 0
  /** @type {Transport | undefined} */
  #fixed
  /** @type {number | undefined} */
  #rttMs
  #state = 'connecting'
  /** @type {Step[]} */
  #steps = []

  /** @param {{transports: Transport[], random: () => number}} options the order of transports is the preference */
  constructor({ transports, random }) {
    this.transports_ = transports
    this.random_ = random
    this.wakeAt_ = Infinity
  }

  /**
   * @param {Fact} fact
   * @param {number} now in ms
   * @returns {Step[]}
   */
  see(fact, now) {
    this.#steps = []
    if (fact.type === 'start') this.#begin(this.#ranked(), 'start', now)
    else if (fact.type === 'use') this.#use(fact.transport, now)
    else if (fact.type === 'reopen') this.#reopen(now)
    else if (fact.type === 'rtt') this.#rttMs = fact.ms
    else if (fact.type === 'proof') this.#proven(fact.id, now)
    else if (fact.type === 'end') this.#ended(fact, now)
    this.#settle(now)
    return this.#steps
  }

  #ranked() {
    return this.#fixed ? [this.#fixed] : this.transports_
  }

  /** @param {Try} one @param {Try} other */
  #better(one, other) {
    return this.#ranked().indexOf(one.transport) < this.#ranked().indexOf(other.transport)
  }

  /** @param {Transport[]} transports @param {string} why @param {number} now @param {boolean} [replaces] */
  #begin(transports, why, now, replaces = false) {
    for (const other of this.#tries.values()) if (other !== this.#carrier) this.#close(other)
    this.#round = [...transports]
    this.#roundWhy = why
    this.#roundReplaces = replaces
    this.#nextAt = now
    this.#retryAt = 0
  }

  /** @param {Transport | 'auto'} transport @param {number} now */
  #use(transport, now) {
    this.#fixed = transport === 'auto' ? undefined : transport
    if (this.#carrier?.transport === this.#ranked()[0]) return this.#begin([], '', now)
    this.#begin(this.#ranked(), 'asked', now, true)
  }

  /** Another list of channels: the same transport, attached anew beside the old one. @param {number} now */
  #reopen(now) {
    if (this.#carrier) this.#begin([this.#carrier.transport], 'channels', now, true)
    else if (this.#tries.size) this.#begin(this.#ranked(), this.#roundWhy, now)
  }

  /** @param {Transport} transport @param {number} now */
  #open(transport, now) {
    const id = ++this.#lastId
    const why = this.#roundWhy
    this.#tries.set(id, { id, transport, why, openedAt: now, replaces: this.#roundReplaces })
    this.#steps.push({ do: 'open', id, transport, why })
  }

  /** @param {Try} one */
  #close(one) {
    this.#tries.delete(one.id)
    this.#steps.push({ do: 'close', id: one.id })
  }

  /** @param {number} id @param {number} now */
  #proven(id, now) {
    const one = this.#tries.get(id)
    if (!one || one.provenAt) return
    one.provenAt = now
    const before = this.#carrier
    if (before && !one.replaces && !this.#better(one, before)) return this.#close(one)
    this.#carrier = one
    this.#failures = 0
    this.#steps.push({ do: 'carry', id, transport: one.transport, reason: one.why })
    this.#retryAt = 0
    // What could still do better may go on until it is late; all else has lost.
    for (const other of this.#tries.values()) if (other !== one && !(other !== before && this.#better(other, one))) this.#close(other)
    this.#round = []
    this.#to('connected', one.why)
  }

  /** @param {{id: number, reason: string, afterMs?: number, planned?: boolean}} fact @param {number} now */
  #ended({ id, reason, afterMs, planned }, now) {
    const one = this.#tries.get(id)
    if (!one) return
    this.#tries.delete(id)
    if (one !== this.#carrier) return this.#fail(one, reason, now)
    this.#carrier = undefined
    if (planned || now - one.openedAt >= STEADY_MS) this.#cuts = 0
    this.#to('reconnecting', reason)
    if (this.#tries.size || this.#round.length) return
    const transports = this.#ranked()
    this.#begin([one.transport, ...transports.filter((other) => other !== one.transport)], reason, now)
    this.#nextAt = now + (afterMs ?? (this.#cuts++ < CUTS_FREE ? 0 : this.#backoff(this.#cuts - CUTS_FREE)))
  }

  /** @param {Try} one @param {string} reason @param {number} now */
  #fail(one, reason, now) {
    if (one.failed) return
    one.failed = true
    if (!this.#carrier) this.#roundWhy = `${one.transport}:${reason}`
    this.#nextAt = Math.min(this.#nextAt, now)
  }

  /** Full jitter. @param {number} failures in a row */
  #backoff(failures) {
    const most = Math.min(BACKOFF_MOST_MS, 2 * BACKOFF_FIRST_MS * 2 ** failures)
    return BACKOFF_FIRST_MS + this.random_() * (most - BACKOFF_FIRST_MS)
  }

  /** How long a try may take before the next transport is tried beside it. @param {Transport} transport */
  #hedge(transport) {
    const rtt = 2 * (this.#rttMs ?? RTT_ASSUMED_MS)
    return transport === 'ws' ? Math.min(250 + rtt, 700) : Math.min(800 + rtt, 2000)
  }

  /** How long until a try counts as failed. @param {Transport} transport */
  #limit(transport) {
    return transport === 'ws' ? Math.max(1500, 4 * (this.#rttMs ?? RTT_ASSUMED_MS)) : LATE_MS
  }

  /** @param {string} state @param {string} reason */
  #to(state, reason) {
    if (state === this.#state) return
    this.#state = state
    this.#steps.push({ do: 'state', state, reason })
  }

  /** Does what is due, and finds when to be asked next. @param {number} now */
  #settle(now) {
    if (this.#retryAt && now >= this.#retryAt) this.#begin(this.#ranked(), this.#roundWhy, now)
    for (const one of this.#tries.values()) {
      if (one.provenAt) continue
      if (now >= one.openedAt + LATE_MS) {
        this.#close(one)
        this.#fail(one, 'late', now)
      } else if (now >= one.openedAt + this.#limit(one.transport)) this.#fail(one, 'unproven', now)
    }
    while (this.#round.length && now >= this.#nextAt) {
      const transport = /** @type {Transport} */ (this.#round.shift())
      this.#open(transport, now)
      this.#nextAt = now + this.#hedge(transport)
    }
    if (!this.#carrier && !this.#round.length && !this.#retryAt && ![...this.#tries.values()].some((one) => !one.failed)) {
      this.#retryAt = now + this.#backoff(this.#failures++)
    }
    this.wakeAt_ = Math.min(
      this.#retryAt || Infinity,
      this.#round.length ? this.#nextAt : Infinity,
      ...[...this.#tries.values()].filter((one) => !one.provenAt).map((one) => one.openedAt + (one.failed ? LATE_MS : this.#limit(one.transport))),
    )
  }
}
