/**
 * The ladder: what was observed, and when, decides which transports are tried, and when.
 *
 * Pure: the clock, randomness and memory are arguments; it knows no socket, no content of a frame and
 * no handle. Facts go in through `observe`, steps come out, and `wakeAt` says when to call it again
 * with a `tick` if nothing happens.
 *
 * An *attempt* is one attachment of one transport. The *carrier* is the proven attempt that carries
 * the session; there is none before the first proof, and after a cut. A *round* is a list of what is
 * still to be tried, each next to the one before it; a check, which asks whether the hub is there at
 * all, is a round of its own. A round starts at the beginning, after a cut, when the carrier becomes
 * suspect, and when something better than the carrier is tried (the climb). It ends when an attempt
 * carries. If a round runs out without one, a pause follows, then a check.
 */
import { Attempt } from './attempt.js'
import { Climb } from './climb.js'
import { Cuts } from './cuts.js'
import { Memory } from './memory.js'
import { RoundTrip } from './round-trip.js'
import { causeOf, isPassing } from './rungs.js'

/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./rungs.js').Step} Step @typedef {import('./rungs.js').LadderState} LadderState */
/** @typedef {import('./rungs.js').Fact} Fact @typedef {import('./rungs.js').FactType} FactType @typedef {import('./rungs.js').OpenStep} OpenStep */
/** @typedef {Transport | 'short' | 'check'} Rung what a round may contain: `short` are short polls */

/** The next transport is tried so long after one that is not proven, in ms, or earlier if that one is overdue; the first where the hub is near. */
const HEDGE_NEAR_MS = { ws: 350, sse: 300, poll: 300 }
const HEDGE_FAR_MS = { ws: 700, sse: 1500, poll: 1500 }
/** Pauses in which nothing gets through, in ms: never more than a request a second, with full jitter on top. */
const PAUSE_LEAST_MS = 1000
const PAUSE_MOST_MS = 19_000
/** Each so-many-th pause ends with an attempt: a gateway may let through everything but the address of the check. */
const CHECKS_PER_ATTEMPT = 4
/** A check that is not answered within this, in ms, is repeated. */
const CHECK_MOST_MS = 3000
/** A cut carrier is replaced at once, but after so many in a row that lived shorter than this, in ms, with a pause. */
const CUTS_FREE = 3
const STEADY_MS = 5000
/** Hidden for so long, in ms, a page may have come to another network. */
const HIDDEN_LONG_MS = 300_000
/** A page that was left does nothing for so long, in ms. */
const LEFT_MS = 24 * 3_600_000
/** A timer that is so late, in ms, says that the page slept. */
const SLEEP_MS = 5000
/** A timer that is so late, in ms, says that the page was busy: frames may wait to be read, and get so long, in ms. */
const BUSY_MS = 250
const GRACE_MS = 300
/** The same for a page that becomes visible, in ms: it may have been frozen. */
const VISIBLE_GRACE_MS = 1500
/** Between the answer to a short poll and the next request, in ms. */
const SHORT_PAUSE_MS = 1000
/** A transport that left out frames twice within this, in ms, is left. */
const INCOMPLETE_MS = 600_000
/** Requests that measure the round trip at the start: the second one finds the connection of the first. */
const MEASURES = 2

export class Ladder {
  /** When to call `observe` with a `tick` if nothing happens. */
  wakeAt = Infinity
  /** @type {LadderState} */
  state = 'connecting'
  /** By id. @type {Map<number, Attempt>} */
  attempts = new Map()
  /** @type {Attempt | undefined} */
  carrier
  /** The transport that carried last. @type {Transport | undefined} */
  last
  roundTrip = new RoundTrip()
  climb = new Climb()
  cuts = new Cuts()

  now = 0
  /** How far the clock was set back, in ms. */
  shiftMs = 0
  /** Least difference between the clocks, in ms; a little more with each event, since clocks drift. */
  skewMs = Infinity
  lastId = 0

  /** What is left of the round. @type {Rung[]} */
  round = []
  why = ''
  /** The attempts of the round replace the carrier. */
  replaces = false
  /** The round pauses until then. */
  pausedUntil = 0
  /** The next of the round is tried next to this attempt. @type {Attempt | undefined} */
  hedged
  /** A check of the round is under way. */
  isChecking = false
  /** Requests left to measure the round trip. */
  measures = 0
  /** Streams were tried again because their first ping was merged with hello. */
  hasRetriedMerged = false

  /** Tried since something carried, with the age at which it became suspect or 0. @type {Map<Transport, number>} */
  tried = new Map()
  /** Rounds in a row in which nothing got through. */
  failures = 0
  /** Carriers in a row that were cut soon. */
  shortLives = 0
  /** How far apart attempts are, in ms: nothing at first, later never more than one request a second. */
  apartMs = 0
  /** A check found the hub since something carried, or this pause needs none. */
  hasChecked = false
  /** The last check found the hub. */
  isHubFound = false
  /** Something other than the hub answered. */
  isForeign = false
  /** Nothing but that answers. */
  isCaptive = false
  isOffline = false
  /** Times of silent WebSockets are counted: the first one is tried again. */
  silences = 0
  hiddenAt = 0
  /** Observations may be waiting: nothing is judged to be missing before then. */
  graceUntil = 0
  /** The last observation was late. */
  wasLate = false
  /** When a transport left out frames. @type {Partial<Record<Transport, number>>} */
  incompleteAt = {}
  /** Of the hub. @type {string | undefined} */
  build

  /** @type {Step[]} */
  #steps = []
  /** @type {Memory} */
  #memory

  /**
   * @param {object} options
   * @param {Transport[]} options.transports allowed; the order is the preference
   * @param {() => number} options.random
   * @param {Record<string, any>} [options.memory] as an earlier ladder left it
   * @param {string} [options.link] what the platform says of the network, before the hub names it
   */
  constructor({ transports, random, memory = {}, link = '' }) {
    this.allowed = transports
    this.transports = transports
    this.random = random
    this.#memory = new Memory(memory, link)
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
    const { attempts, tried, carrier, hedged, random, ...state } = this
    return { ...state, carrier: carrier?.id, hedged: hedged?.id, attempts: [...attempts.values()], tried: [...tried], learned: this.learned }
  }

  /**
   * @param {number} at by the page's clock
   * @param {FactType} type
   * @param {Fact} [fact]
   * @returns {Step[]}
   */
  observe(at, type, fact = {}) {
    this.#steps = []
    this.#advance(at)
    const attempt = this.attempts.get(fact.id ?? 0)
    // Facts about an attempt that was given up are none.
    if (attempt || !fact.id) this.#apply(type, fact, /** @type {Attempt} */ (attempt))
    // What is due may make more due, or bring the next moment nearer: until nothing is.
    do this.wakeAt = Infinity
    while (this.#settle())
    this.#measure()
    const { state } = this
    this.state = this.#nextState()
    if (this.state !== state) this.#steps.push({ do: 'state', state: this.state, why: this.carrier?.why ?? this.why })
    if (this.#memory.save()) this.#steps.push({ do: 'remember' })
    return this.#steps
  }

  /** @returns {LadderState} */
  #nextState() {
    if (this.carrier) return 'connected'
    if (this.isOffline) return 'offline'
    if (this.isCaptive) return 'captive'
    return this.last ? 'reconnecting' : 'connecting'
  }

  // The clock.

  /** @param {number} at */
  #advance(at) {
    // A clock that was set back continues from where it was: what is due stays due.
    this.shiftMs = Math.max(this.shiftMs, this.now - at)
    this.now = at + this.shiftMs
    const lateMs = at - this.wakeAt
    // Timers do not run in a sleeping page, and what arrives after it may be an echo. Or the clock was set forward.
    if (lateMs > SLEEP_MS) {
      this.skewMs = Infinity
      if (this.carrier?.isSilent(this.now)) this.#suspect('sleep')
    }
    const isLate = lateMs > BUSY_MS
    // Timers of hidden pages are always late: once is an excuse, twice is not.
    if (isLate && !this.wasLate) this.graceUntil = this.now + GRACE_MS
    this.wasLate = isLate
  }

  /** Whether a moment has come; if not, it is one to wake at. @param {number} at */
  #isDue(at) {
    if (this.now >= at) return true
    this.wakeAt = Math.min(this.wakeAt, at - this.shiftMs)
    return false
  }

  /** Whether something that did not happen until then is missing. @param {number} at */
  #isMissing(at) {
    return this.#isDue(Math.max(at, this.graceUntil))
  }

  // What follows from a fact.

  /** @param {FactType} type @param {Fact} fact @param {Attempt} attempt */
  #apply(type, fact, attempt) {
    switch (type) {
      case 'start':
        return this.#onStart()
      case 'rtt':
        return this.roundTrip.observe(fact.ms ?? 0)
      case 'use':
        return this.#onUse(fact)
      case 'reopen':
        // Another list of channels: the same transport, attached again next to the old one.
        return this.carrier && this.#begin('channels', [rungOf(this.carrier)], true)
      case 'hello':
        return this.#onHello(fact, attempt)
      case 'frame':
        return this.#onFrame(fact, attempt)
      case 'proof':
        return this.#onProof(fact, attempt)
      case 'mute':
        return this.#suspect('mute')
      case 'incomplete':
        return this.#onIncomplete(attempt)
      case 'starved':
        return this.#onStarved()
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
        this.isOffline = true
        break
      case 'online':
        return this.#onOnline()
      case 'hidden':
        this.hiddenAt = this.now
        break
      case 'visible':
        if (this.now > this.hiddenAt + HIDDEN_LONG_MS) this.climb.advance(this.now)
        this.hiddenAt = 0
        this.graceUntil = this.now + VISIBLE_GRACE_MS
        break
      case 'pause':
        return this.#onPause()
    }
  }

  #onStart() {
    if (this.attempts.size) return
    this.#begin('start')
    this.measures = MEASURES
  }

  /** The application chose a transport. @param {Fact} fact */
  #onUse({ transport }) {
    const isChosen = transport && transport !== 'auto'
    this.transports = isChosen ? [transport, ...this.allowed.filter((other) => other !== transport)] : this.allowed
    if (this.carrier) this.#tryBetter('asked')
    else this.#begin('asked')
  }

  /** @param {Fact} fact @param {Attempt} attempt */
  #onHello(fact, attempt) {
    const { now } = this
    this.#observeSign(attempt)
    attempt.observeHello(now, fact)
    // On a network where it carried before, a stream needs no lone ping before it carries; but a
    // worse transport that works is left only for a proven one.
    if (attempt.transport === 'sse' && !this.#isUp(attempt) && this.#memory.isTrusted('sse', now)) attempt.trust(now)
    if (this.build && fact.build !== this.build) this.climb.planNow(now)
    this.build = fact.build
    if (fact.network && this.#memory.enter(fact.network)) this.climb.planNow(now)
  }

  /** @param {Fact} fact @param {Attempt} attempt */
  #onFrame(fact, attempt) {
    const { time } = fact
    this.#observeSign(attempt)
    const lateMs = time ? this.now - time - this.skewMs : 0
    const cause = attempt.observeFrame(this.now, fact, lateMs)
    if (time) this.skewMs = Math.min(this.skewMs + 1, this.now - time)
    if (attempt !== this.carrier) return this.#retryMerged(attempt)
    if (!cause) return
    // The clock may have been set forward.
    this.skewMs = Infinity
    this.#suspect(cause)
  }

  /** The first sign of a request shows how far the network is; a WS needs several round trips for it. @param {Attempt} attempt */
  #observeSign({ transport, openedAt, frameAt }) {
    if (transport !== 'ws' && frameAt === openedAt) this.roundTrip.limit(this.now - openedAt)
  }

  /** @param {Fact} fact @param {Attempt} attempt */
  #onProof({ ms }, attempt) {
    attempt.observeProof(this.now, ms ?? this.now - attempt.helloAt, this.#isUp(attempt))
  }

  /** A transport left out frames. Once is chance; twice it is left. @param {Attempt} attempt */
  #onIncomplete(attempt) {
    const { transport } = attempt
    const beforeAt = this.incompleteAt[transport] ?? -Infinity
    this.incompleteAt[transport] = this.now
    if (this.now >= beforeAt + INCOMPLETE_MS) return
    if (attempt === this.carrier) {
      this.#suspect('incomplete')
      this.#memory.fail(transport, this.now, this.now - attempt.openedAt)
    } else {
      this.#close(attempt)
      this.#fail(attempt, 'incomplete')
    }
  }

  /** No connection is left to send: everything is closed at once, and polls are short. */
  #onStarved() {
    const { now, carrier } = this
    // A WebSocket is not one of the connections that a browser limits.
    if (carrier?.transport === 'ws' || !this.transports.includes('poll')) return
    const cause = (carrier?.transport ?? 'poll') + ':starved'
    const ages = this.#all().map(({ openedAt }) => now - openedAt)
    for (const { transport, openedAt } of this.#all()) if (transport === 'sse') this.#memory.fail('sse', now, now - openedAt)
    this.#lose()
    this.#memory.shorten(now, Math.max(0, ...ages))
    this.#begin(cause, ['short'])
    this.climb.postpone(now)
  }

  /** @param {Fact} fact @param {Attempt} attempt */
  #onEnded(fact, attempt) {
    const cause = causeOf(fact.why)
    this.attempts.delete(attempt.id)
    if (attempt === this.carrier) this.#onCut(cause, fact, attempt)
    else this.#fail(attempt, cause, fact)
  }

  /** The carrier ended. @param {string} cause @param {Fact} fact @param {Attempt} carrier */
  #onCut(cause, fact, carrier) {
    const { now } = this
    const { transport } = carrier
    const isPlanned = fact.planned || isPassing(cause)
    const isCut = !isPlanned && !this.isOffline && carrier.suspect !== 'sleep'
    const lesson = isCut ? this.#learn(carrier) : {}
    // A chain of polls that was answered more than once is as steady as a poll can be.
    const isSteady = now >= carrier.openedAt + STEADY_MS || (transport === 'poll' && carrier.frameAt > carrier.provenAt)
    if (isPlanned || isSteady) this.shortLives = 0
    this.#lose()
    // Its successor is under way already.
    if (this.replaces && (this.round.length || this.#isTrying())) return
    this.#begin(`${transport}:${lesson.cause ?? cause}`, this.#order(lesson.isLeft ? undefined : transport))
    // Pauses are for the same again: if it is left, nothing waits.
    const isOther = (lesson.isLeft && this.transports.length > 1) || lesson.isShort
    this.pausedUntil += fact.afterMs ?? (isOther || this.shortLives++ < CUTS_FREE ? 0 : this.#pauseMs(this.shortLives - CUTS_FREE))
    if (!fact.foreign) return
    this.isForeign = true
    this.round = ['check']
  }

  /** @param {Fact} fact */
  #onChecked({ ok, ms, foreign, afterMs }) {
    if (ok && ms) this.roundTrip.observe(ms)
    const wasFound = this.isHubFound
    this.isHubFound = !!ok
    if (!this.isChecking) return
    if (foreign) this.isForeign = true
    if (!ok) return this.#rest(afterMs)
    this.isForeign = this.isCaptive = false
    this.hasChecked = true
    this.#begin(this.why, this.#order(this.last))
    // A hub that was away is attached to at once. One that was there all the time, while attempts failed, is not news.
    if (wasFound) this.pausedUntil += this.apartMs
  }

  #onOnline() {
    this.isOffline = false
    this.apartMs = 0
    this.roundTrip.reset()
    // Its socket may belong to the network that was left.
    if (this.carrier) this.#suspect('sleep')
    else this.#begin('online')
  }

  /** The page is cached, or left for good. WebKit ends its connections just before: those were no cuts. */
  #onPause() {
    this.#begin('pagehide', ['check'])
    this.pausedUntil += LEFT_MS
    this.#lose()
    this.cuts.reset()
    this.roundTrip.reset()
  }

  /** Publishes find no way; on a better transport they would. */
  #onBlocked() {
    this.climb.advance(this.now, `${this.carrier?.transport}:blocked`)
  }

  // Rounds.

  /** 0 is the best. @param {Attempt} attempt */
  #rank({ transport, isShort }) {
    return isShort ? this.transports.length : this.transports.indexOf(transport)
  }

  /** Whether it would take over from a worse transport that works. @param {Attempt} attempt */
  #isUp(attempt) {
    const { carrier } = this
    return !!carrier && !carrier.suspect && this.#rank(attempt) < this.#rank(carrier)
  }

  #all() {
    return [...this.attempts.values()]
  }

  /** Whether an attempt is under way that has not failed. */
  #isTrying() {
    return this.#all().some(({ hasFailed }) => !hasFailed)
  }

  /** What to try, in order; memory orders, and never forbids. @param {Transport} [first] @returns {Rung[]} */
  #order(first) {
    const place = (/** @type {Transport} */ transport) => (transport === first ? 0 : this.#memory.isFailing(transport, this.now) ? 2 : 1)
    const ordered = [...this.transports].sort((one, other) => place(one) - place(other))
    const isShort = this.#memory.hasShortPolls(this.now)
    return ordered.map((transport) => (transport === 'poll' && isShort ? 'short' : transport))
  }

  /** A new round instead of what was under way. @param {string} why @param {Rung[]} [round] @param {boolean} [replaces] the carrier */
  #begin(why, round = this.#order(), replaces = false) {
    for (const attempt of this.#all()) if (attempt !== this.carrier) this.#close(attempt)
    this.round = round
    this.why = why
    this.replaces = replaces
    this.pausedUntil = this.now
    this.hedged = undefined
    this.isChecking = false
    this.hasRetriedMerged = false
  }

  /** What is better than the carrier is tried next to it. @param {string} why */
  #tryBetter(why) {
    const best = this.carrier ? this.#rank(this.carrier) : 0
    const isAsked = why === 'asked'
    this.#begin(why, this.transports.slice(0, best), isAsked)
  }

  /** Opens the next of the round. */
  #openNext() {
    const rung = /** @type {Rung} */ (this.round.shift())
    if (rung === 'check') return this.#check()
    this.#open(rung)
    // What is tried next to an attempt is tried because that is slow.
    if (!this.replaces) this.why = `${rung === 'short' ? 'poll' : rung}:slow`
  }

  #check() {
    this.round = ['check']
    this.isChecking = true
    this.pausedUntil = this.now + CHECK_MOST_MS
    this.#steps.push({ do: 'check' })
  }

  /** @param {Transport | 'short'} rung */
  #open(rung) {
    const transport = rung === 'short' ? 'poll' : rung
    const known = this.#memory.known(transport)
    /** @type {OpenStep} */
    const step = { do: 'open', id: ++this.lastId, transport, why: this.why, ...(rung === 'short' ? { wait: 0, pause: SHORT_PAUSE_MS } : wishes(known)) }
    const attempt = new Attempt(step, this.now, known, this.roundTrip, this.transports.length < 2)
    this.attempts.set(step.id, attempt)
    this.tried.set(transport, 0)
    this.#steps.push(step)
    this.hedged = attempt
    this.pausedUntil = this.now + this.apartMs
  }

  /** A ping that came in one piece with hello proves nothing: the stream may be held, or the page was busy. Attached again, it is probed at once. @param {Attempt} attempt */
  #retryMerged(attempt) {
    if (!attempt.isMerged || attempt.transport !== 'sse' || attempt.provenAt || attempt.hasFailed || this.hasRetriedMerged || this.apartMs) return
    this.hasRetriedMerged = true
    this.#close(attempt)
    const { why } = this
    this.why = attempt.why
    this.#open('sse')
    this.why = why
  }

  /** Asks for the round trip, if it is needed and not known yet. */
  #measure() {
    const isWaiting = !this.carrier && this.#all().some(({ helloAt }) => !helloAt)
    if (!this.measures || !isWaiting || this.isChecking) return
    const isFirst = this.measures === MEASURES
    if (isFirst ? this.roundTrip.isKnown : !this.roundTrip.isCold) {
      // A cold request is an upper bound; a warm one is the measure.
      if (isFirst || this.roundTrip.isKnown) this.measures = 0
      return
    }
    this.measures--
    this.#steps.push({ do: 'check' })
  }

  /** When the next of the round is tried next to the one before it. */
  get #hedgeAt() {
    const { hedged, roundTrip } = this
    if (!hedged || hedged.hasFailed || !this.attempts.has(hedged.id)) return 0
    const mostMs = (roundTrip.isNear ? HEDGE_NEAR_MS : HEDGE_FAR_MS)[hedged.transport]
    return hedged.helloAt ? hedged.dueAt : Math.min(hedged.dueAt, hedged.openedAt + mostMs)
  }

  // How attempts end.

  /** @param {Attempt} attempt */
  #close({ id }) {
    if (this.attempts.delete(id)) this.#steps.push({ do: 'close', id })
  }

  /** Nothing carries. */
  #lose() {
    if (this.carrier) this.#close(this.carrier)
    this.carrier = undefined
  }

  /** An attempt did not get to carry. @param {Attempt} attempt @param {string} cause @param {Fact} [fact] */
  #fail(attempt, cause, { afterMs, foreign, planned } = {}) {
    const { transport } = attempt
    if (attempt.hasFailed) return
    attempt.hasFailed = true
    this.pausedUntil = this.now + this.apartMs
    this.#steps.push({ do: 'failed', id: attempt.id, why: cause })
    const isPlanned = planned || isPassing(cause)
    if (isPlanned) this.tried.delete(transport)
    if (this.carrier) return this.#failUp(attempt, isPlanned, this.carrier)
    this.why = `${transport}:${cause}`
    if (foreign) this.isForeign = true
    if (afterMs) this.#rest(afterMs * (1 + this.random() / 4))
    // A hub that is away for a moment refuses all transports: no reason to change the transport.
    else if (this.last && !this.hasChecked && (foreign || (transport === this.last && cause !== 'unproven'))) this.round = ['check']
  }

  /** Something better than the carrier failed. @param {Attempt} attempt @param {boolean} isPlanned @param {Attempt} carrier */
  #failUp(attempt, isPlanned, carrier) {
    if (this.#rank(attempt) >= this.#rank(carrier)) return
    if (!isPlanned) {
      if (attempt.transport !== carrier.transport) this.#memory.fail(attempt.transport, this.now)
      else this.#memory.shorten(this.now, this.now - attempt.openedAt)
    }
    this.climb.plan(this.now)
  }

  /** Nothing gets through, or the hub said when to come back. What carries after that may be a makeshift. @param {number} [ms] */
  #rest(ms = this.#pauseMs(this.failures)) {
    if (this.isForeign && !this.isHubFound) this.isCaptive = true
    this.failures++
    this.hasChecked = this.failures % CHECKS_PER_ATTEMPT === 0
    this.round = this.hasChecked ? this.#order(this.last ?? this.transports.at(-1)).slice(0, 1) : ['check']
    this.hedged = undefined
    this.isChecking = false
    this.pausedUntil = this.now + ms
    this.apartMs = PAUSE_LEAST_MS
    this.climb.planNow(this.now)
  }

  /** Never the least for many at once, or all would come back in the same moment. @param {number} times in a row */
  #pauseMs(times) {
    return PAUSE_LEAST_MS + this.random() * Math.min(PAUSE_MOST_MS, PAUSE_LEAST_MS * 2 ** times)
  }

  /** Learns from the end of a carrier. @param {Attempt} attempt */
  #learn(attempt) {
    const { transport } = attempt
    if (attempt.isShort) return {}
    const life = attempt.life(this.now)
    const lesson = this.cuts.learn(transport, life, (other) => this.#memory.known(other))
    this.#memory.isChanged = true
    if (lesson.isLeft) this.#memory.fail(transport, this.now, life.ageMs)
    if (lesson.isShort) {
      this.#memory.shorten(this.now, life.ageMs)
      this.climb.postpone(this.now)
    }
    return lesson
  }

  /** The carrier may be dead or held: others are tried next to it. @param {string} cause */
  #suspect(cause) {
    const { carrier } = this
    if (!carrier || carrier.suspect) return
    carrier.suspect = cause
    if (cause === 'silent') this.#learn(carrier)
    if (cause !== 'sleep') this.tried.set(carrier.transport, this.now - carrier.openedAt)
    const round = this.#order(carrier.transport)
    if (this.#isLeftBy(cause, round)) round.shift()
    this.#begin(`${carrier.transport}:${cause}`, round, true)
  }

  /** Gateways forget idle sockets in silence: then the same transport is worth another attempt, a WS once. @param {string} cause @param {Rung[]} round */
  #isLeftBy(cause, round) {
    if (!round[1] || cause === 'sleep') return false
    return cause !== 'silent' || round[0] === 'sse' || (round[0] === 'ws' && this.silences++ > 0)
  }

  // Carrying.

  /** When an attempt that is proven may carry. @param {Attempt} attempt */
  #readyAt(attempt) {
    if (this.replaces) return 0
    const { carrier } = this
    if (carrier) return this.#takesOverAt(attempt, carrier)
    // A better one is under way without a failure: a distant network is no reason to leave it.
    const rivals = this.#all().filter((other) => !other.hasFailed && !other.provenAt && this.#rank(other) < this.#rank(attempt))
    return Math.max(0, ...rivals.map(({ dueAt }) => dueAt))
  }

  /** A working carrier is left only for what has shown that single frames arrive, and has lived long enough. @param {Attempt} attempt @param {Attempt} carrier */
  #takesOverAt(attempt, carrier) {
    const trialMs = this.#memory.known(attempt.transport).trial ?? 0
    if (!this.#isUp(attempt) || !attempt.hasProbes) return attempt.provenAt + trialMs
    return attempt.loneAt ? Math.max(attempt.loneAt, attempt.provenAt) + trialMs : Infinity
  }

  /** @param {Attempt} attempt */
  #carry(attempt) {
    const { transport } = attempt
    const before = this.carrier
    this.carrier = attempt
    this.#steps.push({ do: 'carry', id: attempt.id, why: attempt.why })
    this.#remember(attempt)
    // The way back up, to what is preferred or was chosen.
    if (this.#rank(attempt)) this.climb.plan(this.now)
    else this.climb.cancel()
    if (this.last && this.last !== transport && attempt.why !== 'asked') this.#observeChange()
    this.last = transport
    this.hasChecked = this.isForeign = this.isCaptive = this.isHubFound = false
    this.apartMs = this.failures = this.measures = 0
    this.round = []
    // What could still do better may go on until it is late; everything else has lost.
    for (const other of this.#all()) if (other !== attempt && (other === before || this.#rank(other) >= this.#rank(attempt))) this.#close(other)
  }

  /** What failed, or had its time, while this one got through is tried last for a while. What failed with all the others is not. @param {Attempt} attempt */
  #remember(attempt) {
    const rank = this.transports.indexOf(attempt.transport)
    for (const [other, ageMs] of this.tried) if (this.transports.indexOf(other) < rank) this.#memory.fail(other, this.now, ageMs)
    this.tried = new Map()
    this.#memory.succeed(attempt.transport, this.now)
    if (attempt.transport === 'poll' && !attempt.isShort) this.#memory.lengthen()
  }

  /** Where transports change all the time, what disturbs them affects all but the last. */
  #observeChange() {
    if (!this.climb.isFlapping(this.now)) return
    for (const transport of this.transports.slice(0, -1)) this.#memory.fail(transport, this.now)
  }

  // What is due.

  /** Does one thing that is due, or finds when the next one is. @returns {boolean} whether something was done */
  #settle() {
    for (const attempt of this.#all()) if (attempt !== this.carrier && this.#settleAttempt(attempt)) return true
    if (this.round.length) return this.#settleRound()
    if (this.carrier) return this.#settleCarrier(this.carrier)
    if (this.#isTrying()) return false
    this.#rest()
    return true
  }

  #settleRound() {
    const hedgeAt = this.#hedgeAt
    if (!this.#isDue(this.pausedUntil) || (hedgeAt && !this.#isMissing(hedgeAt))) return false
    this.#openNext()
    return true
  }

  /** @param {Attempt} attempt */
  #settleAttempt(attempt) {
    const readyAt = attempt.provenAt ? this.#readyAt(attempt) : Infinity
    if (readyAt < Infinity) return this.#settleProven(attempt, readyAt)
    if (!this.#isMissing(attempt.unprovenAt)) return false
    // A reply came, but no lone frame: something holds the last one.
    const cause = attempt.provenAt ? 'held' : 'unproven'
    if (attempt.isOverdue(this.now)) return this.#giveUp(attempt, cause)
    this.#fail(attempt, cause)
    return true
  }

  /** @param {Attempt} attempt @param {number} readyAt */
  #settleProven(attempt, readyAt) {
    if (!this.#isDue(readyAt)) return false
    if (attempt.isSilent(this.now)) return this.#giveUp(attempt, 'silent')
    this.#carry(attempt)
    return true
  }

  /** @param {Attempt} attempt @param {string} cause */
  #giveUp(attempt, cause) {
    this.#close(attempt)
    this.#fail(attempt, cause)
    return true
  }

  /** @param {Attempt} carrier */
  #settleCarrier(carrier) {
    const isAlone = this.attempts.size < 2
    if (carrier.suspect) return isAlone && this.#acquit(carrier)
    if (this.#isMissing(carrier.frameAt + carrier.silentMs)) return this.#suspectDue('silent')
    if (this.transports.length > 1 && this.#isMissing(carrier.heldAt(this.hiddenAt > 0))) return this.#suspectDue('held')
    return isAlone && this.#settleAlone(carrier)
  }

  /** @param {string} cause */
  #suspectDue(cause) {
    this.#suspect(cause)
    return true
  }

  /** Nothing else got through: a suspect that speaks is kept, a silent one is dead. @param {Attempt} carrier */
  #acquit(carrier) {
    carrier.acquit()
    if (carrier.isSilent(this.now)) this.#lose()
    return true
  }

  /** What the carrier waits for when nothing else is under way. @param {Attempt} carrier */
  #settleAlone(carrier) {
    if (this.#isDue(carrier.renewAt)) {
      carrier.renewAt = Infinity
      this.#begin('age', [rungOf(carrier)], true)
      return true
    }
    const { climb } = this
    if (!climb.dueAt || this.hiddenAt || !this.#isDue(climb.dueAt)) return false
    const why = climb.begin(this.now)
    this.#tryBetter(why)
    return true
  }
}

/** @param {Attempt} attempt @returns {Rung} */
const rungOf = ({ transport, isShort }) => (isShort ? 'short' : transport)

/** What an attempt requests because of what is known. @param {import('./cuts.js').Known} known */
function wishes({ beat, wait, early }) {
  return { ...(beat && { beat }), ...(wait && { wait }), ...(early && { early }) }
}
