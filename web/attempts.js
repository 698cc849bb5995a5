/**
 * The attempts that are under way, the carrier among them, and the rules by which they are opened,
 * judged, carried and closed. Pure: it returns no value to act on, but collects steps.
 *
 * An attempt ends in one of four ways: it carries; it fails (`failed`), after which a late proof is
 * still welcome until it is closed; it is closed because another one carries or a new round begins;
 * or it ends by itself. The carrier is left only when its successor carries, unless it ended or
 * starves the page. Knows rounds, memory and cuts, but no fact: ladder.js turns facts into calls.
 */
import { Attempt } from './attempt.js'
import { Clock } from './clock.js'
import { Outage } from './outage.js'
import { Preference } from './preference.js'
import { Round } from './round.js'
import { NEAR_MS, RoundTrip } from './round-trip.js'
import { isPassing } from './rungs.js'

/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./rungs.js').Step} Step @typedef {import('./rungs.js').OpenStep} OpenStep */
/** @typedef {import('./rungs.js').Fact} Fact @typedef {import('./round.js').Rung} Rung @typedef {import('./memory.js').Memory} Memory */

/** Between the answer to a short poll and the next request, in ms. */
const SHORT_PAUSE_MS = 1000
/** Time, in ms, for which the frames after a punctual one must be punctual, too, before it counts. */
const LAG_WATCH_MS = 1200
/** Time after which a missing frame is confirmed, in ms, since timers may run before messages. */
const CONFIRM_MS = 100
/** How often a stream is tried again whose first ping was merged with hello; more often while the page is busy. */
const RETRIES = 1
const RETRIES_BUSY = 3
/** The hub answers a first poll at once. If it does not, the poll is sent on another connection after this time, in ms, the work of the hub and the round trips below. */
const PATIENCE_MS = 600
const PATIENCE_ROUND_TRIPS = 4
/** Ends of carriers that are kept until the part that learns from them is loaded. */
const UNLEARNED_MAX = 5
/** Requests that measure the round trip at the start: the second one finds the connection of the first. */
const MEASURES = 2

export class Attempts {
  /** By id. @type {Map<number, Attempt>} */
  #byId = new Map()
  /** @type {Attempt | undefined} */
  carrier
  /** The transport that carried last. @type {Transport | undefined} */
  last
  clock = new Clock()
  round = new Round()
  roundTrip = new RoundTrip()
  /** The way back up, and what cuts teach, once that part is loaded. @type {import('./adaptation.js').Adaptation | undefined} */
  adaptation
  /** Ends of carriers before that part was loaded: it learns from them, too. @type {{transport: Transport, life: import('./cuts.js').Life}[]} */
  unlearned = []
  /** What is to be done. @type {Step[]} */
  steps = []
  /** Tried since something carried, with the age at which it became suspect or 0. @type {Map<Transport, number>} */
  tried = new Map()
  /** Requests left to measure the round trip. */
  measures = 0
  /** WebSockets that fell silent: the first one is tried again. */
  silences = 0
  lastId = 0

  /** @param {Transport[]} transports @param {() => number} random @param {Memory} memory */
  constructor(transports, random, memory) {
    this.preference = new Preference(transports)
    this.outage = new Outage(random)
    this.memory = memory
  }

  get now() {
    return this.clock.now
  }

  get climb() {
    return this.adaptation?.climb
  }

  get size() {
    return this.#byId.size
  }

  /** @param {number} [id] */
  get(id = 0) {
    return this.#byId.get(id)
  }

  /** It ended by itself. @param {Attempt} attempt */
  delete(attempt) {
    this.#byId.delete(attempt.id)
    this.round.forget(attempt)
  }

  toJSON() {
    const { steps, memory, carrier, tried, unlearned, ...state } = this
    return { ...state, carrier: carrier?.id, tried: [...tried], attempts: this.all() }
  }

  // One observation.

  /** @param {number} at by the page's clock */
  begin(at) {
    this.steps = []
    // Timers do not run in a sleeping page, and what arrives after it may be an echo.
    if (this.clock.advance(at) && this.carrier?.isSilent(this.now)) this.suspect('sleep')
  }

  /** Does what time brings. Each thing may cause another, or bring the next moment nearer: until nothing is left. */
  settle() {
    do this.clock.wakeAt = Infinity
    while (this.#settleNext())
    this.#measure()
  }

  // Rounds.

  /** @param {Attempt} attempt */
  #rank(attempt) {
    return this.preference.rank(attempt)
  }

  /** Whether it would take over from a worse transport that works. @param {Attempt} attempt */
  isBetter(attempt) {
    const { carrier } = this
    return !!carrier && !carrier.suspect && this.#rank(attempt) < this.#rank(carrier)
  }

  all() {
    return [...this.#byId.values()]
  }

  /** Whether an attempt is under way that has not failed. */
  isTrying() {
    return this.all().some(({ hasFailed }) => !hasFailed)
  }

  /** Whether something better than the carrier is under way. */
  isClimbing() {
    return this.all().some((attempt) => attempt !== this.carrier && !attempt.hasFailed && this.isBetter(attempt))
  }

  /** @param {Transport} [first] */
  order(first) {
    return this.preference.order(this.memory, this.now, first)
  }

  /** A new round instead of what was under way. @param {string} why @param {Rung[]} [rungs] @param {boolean} [replaces] the carrier */
  replace(why, rungs = this.order(), replaces = false) {
    for (const attempt of this.all()) {
      if (attempt === this.carrier) continue
      // It did not have its time.
      if (!attempt.hasFailed) this.tried.delete(attempt.transport)
      this.close(attempt)
    }
    this.round.begin(why, rungs, replaces, this.now)
  }

  /** What is better than the carrier is tried next to it. @param {string} why */
  tryBetter(why) {
    const best = this.carrier ? this.#rank(this.carrier) : 0
    this.replace(why, this.preference.above(best), why === 'asked')
  }

  /** Opens the next of the round. */
  #openNext() {
    const rung = /** @type {Rung} */ (this.round.rungs.shift())
    if (rung !== 'check') return this.#open(rung, this.round.why)
    this.round.check(this.now)
    this.steps.push({ do: 'check' })
  }

  /** @param {Transport | 'short'} rung @param {string} why */
  #open(rung, why) {
    const transport = rung === 'short' ? 'poll' : rung
    const known = this.memory.known(transport)
    /** @type {OpenStep} */
    const step = { do: 'open', id: ++this.lastId, transport, why, ...(rung === 'short' ? { wait: 0, pause: SHORT_PAUSE_MS } : wishes(known)) }
    const { isKnown, workMs, latestMs } = this.roundTrip
    // On a slow network another request would only add to the load.
    if (transport === 'poll' && isKnown && latestMs <= NEAR_MS) step.patience = PATIENCE_MS + workMs + PATIENCE_ROUND_TRIPS * latestMs
    const attempt = new Attempt(step, this.now, known, this.roundTrip, this.preference.isSingle)
    this.#byId.set(step.id, attempt)
    this.tried.set(transport, 0)
    this.steps.push(step)
    this.round.open(attempt, this.now + this.outage.apartMs)
  }

  /** A ping that came in one piece with hello proves nothing: the stream may be held, or the page was busy. Attached again, it is probed at once. @param {Attempt} attempt */
  retryMerged(attempt) {
    if (!attempt.isMerged || attempt.provenAt || attempt.hasFailed || this.outage.apartMs) return
    if (this.round.mergedRetries >= (this.clock.isBusy ? RETRIES_BUSY : RETRIES)) return
    this.round.mergedRetries++
    this.close(attempt)
    this.#open('sse', attempt.why)
  }

  /** With a single transport nothing is compared, so nothing depends on the round trip. */
  startMeasuring() {
    this.measures = this.preference.isSingle ? 0 : MEASURES
  }

  /** Measures the round trip, if it is needed and not known yet. */
  #measure() {
    const isWaiting = !this.carrier && this.all().some(({ helloAt }) => !helloAt)
    if (!this.measures || !isWaiting || this.round.isChecking) return
    const isFirst = this.measures === MEASURES
    if (isFirst ? this.roundTrip.isKnown : !this.roundTrip.isCold) {
      // A cold request is an upper bound; a warm one is the measure.
      if (isFirst || this.roundTrip.isKnown) this.measures = 0
      return
    }
    this.measures--
    this.steps.push({ do: 'check' })
  }

  /** The part for the time after the first connection was loaded. The current carrier may not be the best transport. @param {import('./adaptation.js').Adaptation} adaptation */
  adapt(adaptation) {
    this.adaptation = adaptation
    for (const { transport, life } of this.unlearned.splice(0)) this.#learnFrom(adaptation, transport, life)
    const { carrier } = this
    if (carrier?.isShort) adaptation.climb.postpone(this.now)
    else if (carrier && this.#rank(carrier)) adaptation.climb.plan(this.now)
  }

  // How attempts end.

  /** @param {Attempt} attempt */
  close(attempt) {
    const { id } = attempt
    if (this.#byId.delete(id)) this.steps.push({ do: 'close', id })
    this.round.forget(attempt)
  }

  /** Nothing carries. */
  dropCarrier() {
    if (this.carrier) this.close(this.carrier)
    this.carrier = undefined
  }

  /** An attempt did not get to carry. @param {Attempt} attempt @param {string} cause @param {Fact} [fact] */
  fail(attempt, cause, { afterMs, foreign, planned } = {}) {
    const { transport } = attempt
    if (attempt.hasFailed) return
    attempt.hasFailed = true
    this.round.pausedUntil = this.now + this.outage.apartMs
    this.steps.push({ do: 'failed', id: attempt.id, why: cause })
    const isPlanned = planned || isPassing(cause)
    if (isPlanned) this.tried.delete(transport)
    if (this.carrier) return this.#failUp(attempt, isPlanned, this.carrier)
    this.round.why = `${transport}:${cause}`
    if (foreign) this.outage.isForeign = true
    if (afterMs) this.pauseRound(afterMs * (1 + this.outage.random() / 4))
    // A hub that is away for a moment refuses all transports: no reason to change the transport.
    else if (this.last && !this.outage.hasChecked && (foreign || (transport === this.last && cause !== 'unproven'))) this.round.awaitCheck()
  }

  /** Something better than the carrier failed. @param {Attempt} attempt @param {boolean} isPlanned @param {Attempt} carrier */
  #failUp(attempt, isPlanned, carrier) {
    if (this.#rank(attempt) >= this.#rank(carrier)) return
    if (!isPlanned) {
      if (attempt.transport !== carrier.transport) this.memory.fail(attempt.transport, this.now)
      else this.memory.shorten(this.now, this.now - attempt.openedAt)
    }
    this.climb?.plan(this.now)
  }

  /** Nothing gets through, or the hub said when to come back. The next carrier may not be the best one, so better transports are tried soon. @param {number} [ms] */
  pauseRound(ms) {
    const until = this.now + this.outage.fail(ms)
    const first = this.last ?? this.preference.last
    this.round.pause(this.outage.hasChecked ? this.order(first).slice(0, 1) : ['check'], until)
    this.climb?.planNow(this.now)
  }

  /** Learns from the end of a carrier. @param {Attempt} attempt */
  learn(attempt) {
    const { transport } = attempt
    if (attempt.isShort) return {}
    const life = attempt.life(this.now)
    if (this.adaptation) return this.#learnFrom(this.adaptation, transport, life)
    this.unlearned = [...this.unlearned.slice(1 - UNLEARNED_MAX), { transport, life }]
    return {}
  }

  /** @param {import('./adaptation.js').Adaptation} adaptation @param {Transport} transport @param {import('./cuts.js').Life} life */
  #learnFrom({ cuts, climb }, transport, life) {
    const lesson = cuts.learn(transport, life, (other) => this.memory.known(other)) ?? {}
    this.memory.isChanged = true
    if (lesson.isLeft) this.memory.fail(transport, this.now, life.ageMs)
    if (lesson.isShort) {
      this.memory.shorten(this.now, life.ageMs)
      climb.postpone(this.now)
    }
    return lesson
  }

  /** The carrier may be dead or held: others are tried next to it. @param {string} cause */
  suspect(cause) {
    const { carrier } = this
    if (!carrier || carrier.suspect) return
    carrier.suspect = cause
    if (cause === 'silent') this.learn(carrier)
    if (cause !== 'sleep') this.tried.set(carrier.transport, this.now - carrier.openedAt)
    const round = this.order(carrier.transport)
    if (this.#isLeftBy(cause, round)) round.shift()
    this.replace(`${carrier.transport}:${cause}`, round, true)
  }

  /** Gateways forget idle sockets in silence: then the same transport is worth another attempt, a WS once. @param {string} cause @param {Rung[]} round */
  #isLeftBy(cause, round) {
    if (!round[1] || cause === 'sleep') return false
    return cause !== 'silent' || round[0] === 'sse' || (round[0] === 'ws' && this.silences++ > 0)
  }

  // Carrying.

  /** When an attempt that is proven may carry. @param {Attempt} attempt */
  #readyAt(attempt) {
    if (this.round.replaces) return 0
    const { carrier } = this
    if (carrier) return this.#takesOverAt(attempt, carrier)
    const rivals = this.all().filter((other) => this.#isWaitedFor(other) && this.#rank(other) < this.#rank(attempt))
    return Math.max(0, ...rivals.map(({ proofExpectedAt }) => proofExpectedAt))
  }

  /** Under way without a failure, now or lately: a distant network is no reason to leave it. @param {Attempt} attempt */
  #isWaitedFor({ hasFailed, provenAt, transport }) {
    return !hasFailed && !provenAt && !this.memory.isFailing(transport, this.now)
  }

  /** A working carrier is left only for what has shown that single frames arrive, and has lived long enough. @param {Attempt} attempt @param {Attempt} carrier */
  #takesOverAt(attempt, carrier) {
    const trialMs = this.memory.known(attempt.transport).trial ?? 0
    if (!this.isBetter(attempt) || !attempt.hasProbes) return attempt.provenAt + trialMs
    // An event may have pushed the lone ping: where events flow, those that follow show it.
    return attempt.punctualAt && !attempt.hasLagged ? Math.max(attempt.punctualAt + LAG_WATCH_MS, attempt.provenAt) + trialMs : Infinity
  }

  /** @param {Attempt} attempt */
  #carry(attempt) {
    const { transport } = attempt
    const before = this.carrier
    this.carrier = attempt
    this.steps.push({ do: 'carry', id: attempt.id, why: attempt.why })
    this.#remember(attempt)
    // The way back up, to what is preferred or was chosen.
    if (this.#rank(attempt)) this.climb?.plan(this.now)
    else this.climb?.cancel()
    if (this.last && this.last !== transport && attempt.why !== 'asked') this.#observeChange()
    this.last = transport
    this.outage.end()
    this.measures = 0
    this.round.end()
    // A better transport that is under way may still take over until it is late; everything else has lost.
    for (const other of this.all()) if (other !== attempt && (other === before || this.#rank(other) >= this.#rank(attempt))) this.close(other)
  }

  /** What failed, or had its time, while this one got through is tried last for a while. What failed with all the others is not. @param {Attempt} attempt */
  #remember(attempt) {
    const { transports } = this.preference
    const rank = transports.indexOf(attempt.transport)
    for (const [other, ageMs] of this.tried) if (transports.indexOf(other) < rank) this.memory.fail(other, this.now, ageMs)
    this.tried = new Map()
    this.memory.succeed(attempt.transport, this.now)
    if (attempt.transport === 'poll' && !attempt.isShort) this.memory.lengthen()
  }

  /** Where transports change all the time, what disturbs them affects all but the last. */
  #observeChange() {
    if (!this.climb?.isFlapping(this.now)) return
    for (const transport of this.preference.allButLast) this.memory.fail(transport, this.now)
  }

  // What time brings.

  /** Does one thing whose time has come, or finds when that of the next one comes. @returns {boolean} whether something was done */
  #settleNext() {
    const bestFirst = this.all().sort((one, other) => this.#rank(one) - this.#rank(other))
    for (const attempt of bestFirst) if (attempt !== this.carrier && this.#settleAttempt(attempt)) return true
    if (this.round.rungs.length) return this.#settleRound()
    if (this.carrier) return this.#settleCarrier(this.carrier)
    if (this.isTrying()) return false
    this.pauseRound()
    return true
  }

  #settleRound() {
    const hedgeAt = this.round.hedgeAt(this.roundTrip)
    if (!this.clock.hasPassed(this.round.pausedUntil) || (hedgeAt && !this.clock.isMissing(hedgeAt))) return false
    this.#openNext()
    return true
  }

  /** @param {Attempt} attempt */
  #settleAttempt(attempt) {
    const readyAt = attempt.provenAt ? this.#readyAt(attempt) : Infinity
    if (readyAt < Infinity) return this.#settleProven(attempt, readyAt)
    if (!this.clock.isMissing(attempt.unprovenAt)) return false
    // A reply came, but no lone frame: something holds the last one.
    const cause = attempt.provenAt ? 'held' : 'unproven'
    if (attempt.isOverdue(this.now)) return this.#giveUp(attempt, cause)
    this.fail(attempt, cause)
    return true
  }

  /** @param {Attempt} attempt @param {number} readyAt */
  #settleProven(attempt, readyAt) {
    if (!this.clock.hasPassed(readyAt)) return false
    if (attempt.isSilent(this.now)) return this.#giveUp(attempt, 'silent')
    this.#carry(attempt)
    return true
  }

  /** @param {Attempt} attempt @param {string} cause */
  #giveUp(attempt, cause) {
    this.close(attempt)
    this.fail(attempt, cause)
    return true
  }

  /** @param {Attempt} carrier */
  #settleCarrier(carrier) {
    const isAlone = this.size < 2
    if (carrier.suspect) return isAlone && this.#clearSuspicion(carrier)
    if (this.clock.isMissing(carrier.frameAt + carrier.silentMs)) return this.#makeSuspect('silent')
    if (this.#isHeld(carrier)) return this.#makeSuspect('held')
    return isAlone && this.#settleAlone(carrier)
  }

  /** Whether a frame is missing that the hub sent alone: also after what a busy page had not read yet. @param {Attempt} carrier */
  #isHeld(carrier) {
    if (this.preference.isSingle || !this.clock.isMissing(carrier.heldAt(this.clock.isHidden))) return false
    carrier.missedAt ||= this.now
    return this.clock.hasPassed(carrier.missedAt + CONFIRM_MS)
  }

  /** @param {string} cause */
  #makeSuspect(cause) {
    this.suspect(cause)
    return true
  }

  /** Nothing else got through: a suspect that speaks is kept, a silent one is dead. @param {Attempt} carrier */
  #clearSuspicion(carrier) {
    carrier.clearSuspicion()
    if (carrier.isSilent(this.now)) this.dropCarrier()
    return true
  }

  /** What the carrier waits for when nothing else is under way. @param {Attempt} carrier */
  #settleAlone(carrier) {
    if (this.clock.hasPassed(carrier.renewAt)) {
      carrier.renewAt = Infinity
      this.replace('age', [rungOf(carrier)], true)
      return true
    }
    const { climb } = this
    if (!climb?.nextAt || this.clock.isHidden || !this.clock.hasPassed(climb.nextAt)) return false
    const why = climb.begin(this.now)
    this.tryBetter(why)
    return true
  }
}

/** @param {Attempt} attempt @returns {Rung} */
export const rungOf = ({ transport, isShort }) => (isShort ? 'short' : transport)

/** What an attempt requests because of what is known. @param {import('./memory.js').Known} known */
function wishes({ beat, wait, early }) {
  return { ...(beat && { beat }), ...(wait && { wait }), ...(early && { early }) }
}
