/**
 * The ladder: what was observed, and when, decides which transports are tried, and when.
 *
 * Pure: the clock, randomness and memory are arguments; it knows no socket, no content of a frame and
 * no handle. Facts go in through `observe`, steps come out, and `wakeAt` says when to call it again
 * with a `tick` if nothing happens.
 *
 * An *attempt* is one attachment of one transport. The *carrier* is the proven attempt that carries
 * the session; there is none before the first proof, and after a cut. A *round* is a list of what is
 * still to be tried, each next to the one before it; a check, which finds out whether the hub is there
 * at all, is a round of its own. A round starts at the beginning, after a cut, when the carrier becomes
 * suspect, and when something better than the carrier is tried (the climb). It ends when an attempt
 * carries. If a round runs out without one, a pause follows, then a check.
 */
import { Attempts, rungOf } from './attempts.js'
import { Memory } from './memory.js'
import { causeOf, isPassing } from './rungs.js'

/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./rungs.js').Step} Step @typedef {import('./rungs.js').LadderState} LadderState */
/** @typedef {import('./rungs.js').Fact} Fact @typedef {import('./rungs.js').FactType} FactType @typedef {import('./attempt.js').Attempt} Attempt */

/** Pause of a page that was left, in ms. */
const LEFT_MS = 24 * 3_600_000
/** A transport that lost frames twice within this time, in ms, is left. */
const INCOMPLETE_MS = 600_000

export class Ladder {
  /** @type {LadderState} */
  state = 'connecting'
  /** When a transport left out frames. @type {Partial<Record<Transport, number>>} */
  incompleteAt = {}
  /** Of the hub. @type {string | undefined} */
  build
  /** Why a climb was under way that a new list of channels interrupted. */
  #interrupted = ''
  /** @type {Memory} */
  #memory

  /**
   * @param {object} options
   * @param {Transport[]} options.transports allowed; the order is the preference
   * @param {() => number} options.random
   * @param {Record<string, any>} [options.memory] as an earlier ladder left it
   * @param {string} [options.networkType] the type of the network, as the platform reports it; used until the hub names the network
   * @param {import('./adaptation.js').Adaptation} [options.adaptation] if it is loaded already
   */
  constructor({ transports, random, memory = {}, networkType = '', adaptation }) {
    this.#memory = new Memory(memory, networkType)
    this.attempts = new Attempts(transports, random, this.#memory)
    this.attempts.adaptation = adaptation
  }

  /** When to call `observe` with a `tick` if nothing happens. */
  get wakeAt() {
    return this.attempts.clock.wakeAt
  }

  get now() {
    return this.attempts.now
  }

  /** What a later ladder may begin with. */
  get memory() {
    return this.#memory.records
  }

  /** What is known of this network. */
  get learned() {
    return this.#memory.learned
  }

  toJSON() {
    return { ...this, learned: this.learned }
  }

  /**
   * @param {number} at by the page's clock
   * @param {FactType} type
   * @param {Fact} [fact]
   * @returns {Step[]}
   */
  observe(at, type, fact = {}) {
    const { attempts } = this
    attempts.begin(at)
    const attempt = attempts.get(fact.id)
    // Facts about an attempt that was given up do not count.
    if (attempt || !fact.id) this.#apply(type, fact, /** @type {Attempt} */ (attempt))
    attempts.settle()
    this.#resumeClimb()
    const { steps, carrier, round } = attempts
    const { state } = this
    this.state = this.#nextState()
    if (this.state !== state) steps.push({ do: 'state', state: this.state, why: carrier?.why ?? (this.state === 'reconnecting' ? round.cause : round.why) })
    if (this.#memory.save()) steps.push({ do: 'remember' })
    return steps
  }

  /** @returns {LadderState} */
  #nextState() {
    const { carrier, outage, last } = this.attempts
    if (carrier) return 'connected'
    if (outage.isOffline) return 'offline'
    if (outage.isCaptive) return 'captive'
    return last ? 'reconnecting' : 'connecting'
  }

  // What follows from a fact.

  /** @param {FactType} type @param {Fact} fact @param {Attempt} attempt */
  #apply(type, fact, attempt) {
    switch (type) {
      case 'start':
        return this.#onStart()
      case 'rtt':
        return this.attempts.roundTrip.observe(fact.ms ?? 0)
      case 'adapt':
        return this.attempts.adapt(/** @type {import('./adaptation.js').Adaptation} */ (fact.adaptation))
      case 'use':
        return this.#onUse(fact)
      case 'reopen':
        return this.#onReopen()
      case 'hello':
        return this.#onHello(fact, attempt)
      case 'frame':
        return this.#onFrame(fact, attempt)
      case 'proof':
        return this.#onProof(fact, attempt)
      case 'mute':
        return this.attempts.suspect('mute')
      case 'incomplete':
        return this.#onIncomplete(attempt)
      case 'starved':
        return this.#onStarved()
      case 'away':
        return this.#onAway(attempt)
      case 'ended':
        return this.#onEnded(fact, attempt)
      case 'checked':
        return this.#onChecked(fact)
      case 'blocked':
        return this.#onBlocked()
      default:
        this.#onPage(type)
    }
  }

  /** @param {FactType} type what happened to the page */
  #onPage(type) {
    switch (type) {
      case 'offline':
        this.attempts.outage.isOffline = true
        break
      case 'online':
        return this.#onOnline()
      case 'hidden':
        return this.attempts.clock.hide()
      case 'visible':
        if (this.attempts.clock.show()) this.attempts.climb?.advance(this.now)
        break
      case 'pause':
        return this.#onPause()
    }
  }

  #onStart() {
    if (this.attempts.size) return
    this.attempts.replace('start')
    this.attempts.startMeasuring()
  }

  /** Another list of channels: the same transport is attached again, next to the old one. A climb that this interrupts continues after it. */
  #onReopen() {
    const { carrier, round } = this.attempts
    if (!carrier) return
    if (!carrier.suspect && this.attempts.isClimbing() && round.why !== 'channels') this.#interrupted = round.why
    this.attempts.replace('channels', [rungOf(carrier)], true)
  }

  #resumeClimb() {
    const why = this.#interrupted
    if (!why || !this.attempts.steps.some((step) => step.do === 'carry')) return
    this.#interrupted = ''
    if (this.attempts.carrier?.why !== 'channels') return
    this.attempts.tryBetter(why)
    this.attempts.settle()
  }

  /** The application chose a transport. @param {Fact} fact */
  #onUse({ transport }) {
    this.attempts.preference.choose(transport)
    if (this.attempts.carrier) this.attempts.tryBetter('asked')
    else this.attempts.replace('asked')
  }

  /** @param {Fact} fact @param {Attempt} attempt */
  #onHello(fact, attempt) {
    const { now } = this
    this.#observeSign(attempt)
    attempt.observeHello(now, fact)
    // The hub was slow to accept it, and it may still carry.
    if (!this.attempts.carrier) attempt.hasFailed = false
    // On a network where it carried before, a stream needs no lone ping before it carries; but a
    // worse transport that works is left only for a proven one.
    if (attempt.transport === 'sse' && !this.attempts.isBetter(attempt) && this.#memory.isTrusted('sse', now)) attempt.trust(now)
    if (this.build && fact.build !== this.build) this.attempts.climb?.planNow(now)
    this.build = fact.build
    if (fact.network && this.#memory.enter(fact.network)) this.attempts.climb?.planNow(now)
  }

  /** @param {Fact} fact @param {Attempt} attempt */
  #onFrame(fact, attempt) {
    this.#observeSign(attempt)
    const cause = attempt.observeFrame(this.now, fact, this.attempts.clock.lateness(fact.time))
    if (attempt !== this.attempts.carrier) return this.attempts.retryMerged(attempt)
    if (!cause) return
    // The clock may have been set forward.
    this.attempts.clock.skewMs = Infinity
    this.attempts.suspect(cause)
  }

  /** The first sign of a request shows how far the network is; a WS needs several round trips for it. @param {Attempt} attempt */
  #observeSign({ transport, openedAt, frameAt }) {
    if (transport !== 'ws' && frameAt === openedAt) this.attempts.roundTrip.observeSign(this.now - openedAt)
  }

  /** @param {Fact} fact @param {Attempt} attempt */
  #onProof({ ms }, attempt) {
    attempt.observeProof(this.now, ms ?? this.now - attempt.helloAt, this.attempts.isBetter(attempt))
  }

  /** A transport left out frames. Once is chance; twice it is left. @param {Attempt} attempt */
  #onIncomplete(attempt) {
    const { transport } = attempt
    const beforeAt = this.incompleteAt[transport] ?? -Infinity
    this.incompleteAt[transport] = this.now
    if (this.now >= beforeAt + INCOMPLETE_MS) return
    if (attempt === this.attempts.carrier) {
      this.attempts.suspect('incomplete')
      this.#memory.fail(transport, this.now, this.now - attempt.openedAt)
    } else {
      this.attempts.close(attempt)
      this.attempts.fail(attempt, 'incomplete')
    }
  }

  /** No connection is left for requests: everything is closed at once, and polls are short. */
  #onStarved() {
    const { carrier, now } = this.attempts
    // A WebSocket is not one of the connections that a browser limits.
    if (carrier?.transport === 'ws' || !this.attempts.preference.allowed.includes('poll')) return
    const cause = (carrier?.transport ?? 'poll') + ':starved'
    const ages = this.attempts.all().map(({ openedAt }) => now - openedAt)
    for (const { transport, openedAt } of this.attempts.all()) if (transport === 'sse') this.#memory.fail('sse', now, now - openedAt)
    this.attempts.dropCarrier()
    this.#memory.shorten(now, Math.max(0, ...ages))
    this.attempts.replace(cause, ['short'])
    this.attempts.climb?.postpone(now)
  }

  /** A gateway that cannot reach the hub refuses all transports alike: the last carrier's transport is repeated before others are tried. @param {Attempt} attempt */
  #onAway(attempt) {
    if (attempt.transport === this.attempts.last) attempt.awayAt ||= this.now
  }

  /** @param {Fact} fact @param {Attempt} attempt */
  #onEnded(fact, attempt) {
    const cause = causeOf(fact.why)
    this.attempts.delete(attempt)
    if (attempt === this.attempts.carrier) this.#onCut(cause, fact, attempt)
    else this.attempts.fail(attempt, cause, fact)
  }

  /** The carrier ended. @param {string} cause @param {Fact} fact @param {Attempt} carrier */
  #onCut(cause, fact, carrier) {
    const { transport } = carrier
    const isPlanned = fact.planned || isPassing(cause)
    const isCut = !isPlanned && !this.attempts.outage.isOffline && carrier.suspect !== 'sleep'
    const lesson = isCut ? this.attempts.learn(carrier) : {}
    this.attempts.outage.observeLife(carrier, this.now, isPlanned)
    this.attempts.dropCarrier()
    // Its successor is under way already.
    if (this.attempts.round.replaces && (this.attempts.round.rungs.length || this.attempts.isTrying())) return
    this.attempts.replace(`${transport}:${lesson.cause ?? cause}`, this.attempts.order(lesson.isLeft ? undefined : transport))
    // Pauses are for the same again: if it is left, nothing waits.
    const isOther = (lesson.isLeft && !this.attempts.preference.isSingle) || lesson.isShort
    this.attempts.round.pausedUntil += fact.afterMs ?? (isOther ? 0 : this.attempts.outage.nextLifeMs())
    if (!fact.foreign) return
    this.attempts.outage.isForeign = true
    this.attempts.round.awaitCheck()
  }

  /** @param {Fact} fact */
  #onChecked({ ok, ms, foreign, afterMs }) {
    if (ok && ms) this.attempts.roundTrip.observe(ms)
    const wasFound = this.attempts.outage.isHubFound
    this.attempts.outage.isHubFound = !!ok
    this.attempts.outage.isHubAway = !ok && !foreign
    if (!this.attempts.round.isChecking) return
    if (foreign) this.attempts.outage.isForeign = true
    if (!ok) return this.attempts.pauseRound(afterMs)
    this.attempts.outage.find()
    this.attempts.replace(this.attempts.round.why, this.attempts.order(this.attempts.last))
    // A hub that was away is attached to at once. One that was there all the time, while attempts failed, is not news.
    if (wasFound) this.attempts.round.pausedUntil += this.attempts.outage.apartMs
  }

  #onOnline() {
    this.attempts.outage.isOffline = false
    this.attempts.outage.apartMs = 0
    this.attempts.roundTrip.reset()
    // Its socket may belong to the network that was left.
    if (this.attempts.carrier) this.attempts.suspect('sleep')
    else this.attempts.replace('online')
    this.attempts.startMeasuring()
  }

  /** The page is cached, or left for good. WebKit ends its connections just before: those were no cuts. */
  #onPause() {
    this.attempts.replace('pagehide', ['check'])
    this.attempts.round.pausedUntil += LEFT_MS
    this.attempts.dropCarrier()
    this.attempts.adaptation?.cuts.reset()
    this.attempts.roundTrip.reset()
  }

  /** Publishes do not get through; on a better transport they would. */
  #onBlocked() {
    const { carrier, climb } = this.attempts
    climb?.advance(this.now, carrier && `${carrier.transport}:blocked`)
  }
}
