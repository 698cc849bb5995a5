/**
 * The ladder: what was seen, and when, decides what to try, and when.
 * Pure: the clock and randomness are arguments; knows no socket, no frame's content, no handle.
 * A *try* is one attach of one transport. The *carrier* is the proven try that carries the session.
 * A *round* is a list of transports to be tried, each beside the one before it. Facts go in by
 * `see`, steps come out; `wakeAt` says when to ask again if nothing happens.
 * Its state is local to one closure, whose functions are the rules; each is short.
 */
import { learn, WAIT_S } from './cuts.js'

/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./rungs.js').Try} Try */
/** @typedef {import('./rungs.js').Fact} Fact @typedef {import('./rungs.js').FactType} FactType @typedef {import('./rungs.js').Step} Step */
/** @typedef {import('./rungs.js').Ladder} Ladder @typedef {(fact: Fact, one: Try) => any} See what follows from a fact */

/** The round-trip time to assume until one was measured, in ms: a slow mobile network. */
const RTT_ASSUMED_MS = 300
/** Longest round trip to conclude from a first sign, in ms: it may have needed several. */
const RTT_SIGN_MOST_MS = 600
/** Round trips that a better transport has for its proof: TCP, TLS, the request, its ping. */
const PROOF_ROUND_TRIPS = 4
/** The next transport is tried beside one that is not proven by then, in ms, and two round trips; but not later than the other. */
const BESIDE_WS_MS = 250
const BESIDE_WS_MOST_MS = 700
const BESIDE_MS = 800
const BESIDE_MOST_MS = 2000
/** A WS that is not proven by then, in ms, counts as failed. */
const WS_MOST_MS = 1500
/** A try that is not proven by then, in ms, is closed; until then a better transport is still welcome. */
const LATE_MS = 10_000
/** The lone ping of `probe=1` must come before this, in ms after hello: it is sent after 150 ms, and 1.2 s of silence follow. */
const PROBE_MOST_MS = 1100
/** Sooner than this, in ms after what came before it (half of the 150), it came in one piece with that: something held both, or the page was busy. */
const LONE_MS = 75
/** The hub sends a second probe 5 s after hello. So long after hello, in ms, a lone ping proves what the first could not. */
const PROBE_AGAIN_MS = 3000
/** Pauses in which nothing gets through, in ms: never more than a request a second, and on top of that full jitter. */
const PAUSE_LEAST_MS = 1000
const PAUSE_MOST_MS = 19_000
/** Each so-many-th pause ends with a try: a gateway may let through all but the address that is looked at. */
const LOOKS = 4
/** A look for the hub that is not answered, in ms. */
const LOOK_MOST_MS = 3000
/** A cut carrier is replaced at once, but after so many in a row that lived shorter than this, in ms, with a pause. */
const CUTS_FREE = 3
const STEADY_MS = 5000
/** Below the best transport it is tried again after so long, in ms; then each half hour. */
const UP_FIRST_MS = 30_000
const UP_SECOND_MS = 120_000
const UP_THIRD_MS = 600_000
const UP_LAST_MS = 1_800_000
/** Hidden for so long, in ms, a page may have come to another network. */
const HIDDEN_LONG_MS = 300_000
/** So many changes of transport in so long, in ms, are flapping: then the last transport is best for a while. */
const CHANGES_MOST = 6
const CHANGES_MS = 300_000
const CALM_UPS = 2
/** A timer that is this late, in ms, says that the page slept. */
const SLEEP_MS = 5000
/** Silence in heartbeats after which a carrier is suspect; an event later than that silence over this is half a heartbeat late. */
const SILENT_BEATS = 1.5
const LATE_PART = 3
/** A held poll may be late by this, in ms. */
const POLL_LATE_MS = 5000
/** So many events in a row that are later than this, in ms, make a stream suspect. */
const SLOW_MOST = 3
const SLOW_MS = 1000
/** A success is remembered for so long, and a page that was left does nothing. */
const DAY_MS = 24 * 3_600_000
/** A failure is remembered so many times longer than the one before it, the first one as if this, in ms, had been before it, and a day at most: networks change. */
const FADE_MS = 100_000
const FADE_TIMES = 6
const FADE_MOST_MS = 24 * 3_600_000
/** A transport that was left must live longer than before, by this, but no more than that, in ms, beside the carrier before it carries again. */
const TRIAL_LEAST_MS = 3000
const TRIAL_MOST_MS = 60_000

/**
 * @param {Transport[]} transports the order is the preference
 * @param {() => number} random
 * @param {Record<string, any>} [memory] as an earlier ladder left it
 * @param {string} [link] what the platform says of the network, before the hub names it
 * @returns {Ladder}
 */
export function newLadder(transports, random, memory = {}, link = '') {
  let network = memory['?' + link]
  /** @type {Map<number, Try>} */
  const tries = new Map()
  /** @type {Ladder} */
  const ladder = { see, wakeAt: Infinity, tries, learned: { ...memory[network] }, memory }
  /** How far the clock was set back, in ms. */
  let shift = 0
  /** @type {Try | undefined} */
  let carrier
  let now = 0
  /** @type {Step[]} */
  let steps
  let lastId = 0
  let rttMs = RTT_ASSUMED_MS
  /** Least difference of the clocks seen, in ms; a little more with each event, since clocks drift. */
  let skew = Infinity
  const given = transports
  /** The last that carried. @type {Transport | undefined} */
  let last
  /** The round: what is left of it, why, whether its tries replace the carrier, and when the next one is due. A look for the hub is a round of its own. @type {any[]} */
  let round = []
  let why = ''
  let replaces = false
  let nextAt = 0
  /** Opened since something carried, or suspect: and the age at which it was, in ms. @type {Map<Transport, number>} */
  let tried = new Map()
  /** Rounds in which nothing got through, and carriers that were cut soon, in a row. */
  let failures = 0
  let cuts = 0
  /** How far apart tries are that fail, in ms: nothing at first, later never more than one request a second. */
  let apartMs = 0
  /** A look found the hub since something carried, or is left out; something else answered; and that is all that answers. */
  let looked = false
  let strange = /** @type {boolean | undefined} */ (false)
  let captive = strange
  /** When to try what is better than the carrier; 0 where nothing is. */
  let upAt = 0
  let ups = 0
  /** Changes of transport, newest first. @type {number[]} */
  let changes = []
  /** Lives of carriers that were cut, newest first. @type {Partial<Record<Transport, import('./cuts.js').Life[]>>} */
  let lives = {}
  let silences = 0
  let hiddenAt = 0
  let isOffline = false
  let state = 'connecting'
  /** @type {string | undefined} */
  let build

  /** @param {number} at @param {FactType} type @param {Fact} [fact] */
  function see(at, type, fact = {}) {
    steps = []
    // A clock that was set back goes on from where it was: what is due is due all the same.
    shift = Math.max(shift, now - at)
    now = at + shift
    // Timers do not run in a sleeping page, and what is heard after it may be an echo. Or else the clock was set forward.
    if (at > ladder.wakeAt + SLEEP_MS) {
      skew = Infinity
      if (carrier && silent(carrier)) suspect('sleep')
    }
    const one = /** @type {Try} */ (tries.get(/** @type {number} */ (fact.id)))
    // What an attach that was given up tells is no fact any more; a tick is none.
    if (one || !fact.id) facts[type]?.(fact, one)
    // What is due may make more due, or bring the next moment nearer: until nothing is.
    while (settle());
    const next = carrier ? 'connected' : isOffline ? 'offline' : captive ? 'captive' : last ? 'reconnecting' : 'connecting'
    if (next !== state) steps.push({ do: 'state', state: (state = next), why: carrier?.why ?? why })
    return steps
  }

  /** @type {Partial<Record<FactType, See>>} */
  const facts = {
    start: () => tries.size || begin('start'),
    rtt: ({ ms }) => (rttMs = /** @type {number} */ (ms)),
    /** By hand. */
    use({ transport }) {
      transports = transport && transport !== 'auto' ? [transport, ...given.filter((other) => other !== transport)] : given
      if (carrier) climb('asked')
      else begin('asked')
    },
    /** Another list of channels: the same transport, attached anew beside the old one. */
    reopen: () => carrier && begin('channels', [carrier.transport], true),
    hello({ beat, network: name, build: made }, one) {
      one.helloAt = one.frameAt = now
      if (beat && one.transport !== 'poll') one.silentMs = SILENT_BEATS * 1000 * beat
      // On a network where it carried before, a stream is taken at its word until its probe is due.
      if (one.transport === 'sse' && now < /** @type {number} */ (here('sse').good)) one.provenAt = now
      if (build && made !== build) upAt = now
      build = made
      if (!name || name === network) return
      if (network) upAt = now
      // The first name of a network is that of what was learned so far.
      if (network || memory[name]) ladder.learned = { ...memory[name] }
      memory['?' + link] = network = name
    },
    /** Anything came. */
    frame({ ping, time }, one) {
      const gap = now - one.frameAt
      // The first sign of a request shows how far the network is; a WS needs several round trips for it.
      if (one.transport !== 'ws' && one.frameAt === one.openedAt) rttMs = Math.min(gap, RTT_SIGN_MOST_MS)
      one.gap = Math.max(one.gap, gap)
      one.frameAt = now
      const lateMs = now - /** @type {number} */ (time) - skew
      // What was published before this attach began was replayed.
      const isLate = lateMs > Math.max(SLOW_MS, 4 * rttMs) && lateMs < now - one.openedAt
      if (ping) {
        const age = now - one.helloAt
        const isLone = age < PROBE_MOST_MS ? age > LONE_MS : age > PROBE_AGAIN_MS && gap > LONE_MS
        if (isLone && !isLate && one.transport === 'sse') one.provenAt ||= now
        one.pinged = true
      }
      if (!time) return
      skew = Math.min(skew + 1, now - time)
      one.slow = isLate ? one.slow + 1 : 0
      if (one === carrier && one.transport !== 'poll' && (one.slow >= SLOW_MOST || (ping && lateMs > one.silentMs / LATE_PART))) {
        // The clock may have been set forward.
        skew = Infinity
        suspect('slow')
      }
    },
    /** The hub answered what only it can, to us. */
    proof: (fact, one) => (one.provenAt ||= one.frameAt = now),
    /** A command went unanswered. */
    mute: () => suspect('mute'),
    ended(fact, one) {
      const { transport } = one
      const planned = fact.planned
      tries.delete(one.id)
      if (one !== carrier) return fail(one, fact)
      const isLeft = !planned && !isOffline && one.suspect !== 'sleep' && outlived(one)
      // A chain of polls that was answered more than once is as steady as a poll can be.
      if (planned || now >= one.openedAt + STEADY_MS || (transport === 'poll' && one.frameAt > one.provenAt)) cuts = 0
      lose()
      // Its successor is under way already.
      if (replaces && (round.length || isTrying())) return
      begin(transport + ':' + fact.why, order(isLeft ? undefined : transport))
      // Pauses are for the same again: what is left leaves no time.
      nextAt += fact.afterMs ?? ((isLeft && transports[1]) || cuts++ < CUTS_FREE ? 0 : pause(cuts - CUTS_FREE))
      if (!fact.foreign) return
      strange = true
      round = ['check']
    },
    /** What the look for the hub found. */
    checked(fact) {
      if (round[0] !== 'check') return
      strange ||= fact.foreign
      if (!fact.ok) return rest(fact.afterMs)
      strange = captive = false
      looked = true
      begin(why, order(last))
      nextAt += apartMs
    },
    offline: () => (isOffline = true),
    online() {
      isOffline = false
      apartMs = 0
      // Its socket may belong to the network that was left.
      if (carrier) suspect('sleep')
      else begin('online')
    },
    hidden: () => (hiddenAt = now),
    visible() {
      if (now > hiddenAt + HIDDEN_LONG_MS) upAt &&= now
      hiddenAt = 0
    },
    /** The page goes into the cache of pages, or for good. WebKit ends its connections just before: those were no cuts. */
    pause() {
      begin('pagehide', ['check'])
      nextAt += DAY_MS
      lose()
      lives = {}
    },
    /** Publishes find no way: on WS they would. */
    blocked: () => (upAt &&= now),
  }

  /** What is known here. @param {Transport} transport @returns {import('./cuts.js').Known} */
  const here = (transport) => (ladder.learned[transport] ??= {})

  /** 0 is the best. @param {any} transport */
  const rank = (transport) => transports.indexOf(transport)

  /** What to try, in order; memory orders, and never forbids. @param {Transport} [first] */
  function order(first) {
    const place = (/** @type {Transport} */ transport) => (transport === first ? 0 : now < /** @type {number} */ (here(transport).until) ? 2 : 1)
    return [...transports].sort((one, other) => place(one) - place(other))
  }

  /** @param {number} at @returns {boolean} */
  const due = (at) => now >= at || !(ladder.wakeAt = Math.min(ladder.wakeAt, at - shift))

  /** @param {Try} one */
  const silent = (one) => now >= one.frameAt + one.silentMs

  const all = () => [...tries.values()]

  /** Is anything under way that has not failed? */
  const isTrying = () => !all().every(({ failed }) => failed)

  /** @param {Try} one */
  const close = ({ id }) => tries.delete(id) && steps.push({ do: 'close', id })

  /** Nothing carries. */
  function lose() {
    if (carrier) close(carrier)
    carrier = undefined
  }

  /** A new round instead of what was under way. @param {string} because @param {(Transport | 'check')[]} [list] @param {boolean} [isInstead] of the carrier */
  function begin(because, list = order(), isInstead = false) {
    for (const one of all()) if (one !== carrier) close(one)
    round = list
    why = because
    replaces = isInstead
    nextAt = now
  }

  function open() {
    const transport = /** @type {Transport | 'check'} */ (round.shift())
    if (transport === 'check') {
      round = ['check']
      nextAt = now + LOOK_MOST_MS
      return steps.push({ do: 'check' })
    }
    const known = here(transport)
    /** @type {Step & {do: 'open'}} */
    const step = { ...known, do: 'open', id: ++lastId, transport, why }
    tries.set(lastId, {
      ...step,
      ...{ openedAt: now, frameAt: now, helloAt: 0, provenAt: 0, gap: 0, slow: 0 },
      renewAt: now + 0.8 * (known.age ?? Infinity),
      silentMs: 1000 * (known.wait ?? WAIT_S) + POLL_LATE_MS + 4 * rttMs,
    })
    tried.set(transport, 0)
    steps.push(step)
    // Whoever is tried beside it is tried because of it.
    if (!replaces) why = transport + ':slow'
    const [besideMs, mostMs] = transport === 'ws' ? [BESIDE_WS_MS, BESIDE_WS_MOST_MS] : [BESIDE_MS, BESIDE_MOST_MS]
    nextAt = now + Math.max(apartMs, Math.min(besideMs + 2 * rttMs, mostMs))
  }

  /** When it should be proven, by how far the network is, or else as long after its hello as that took. @param {Try} one */
  const dueBy = (one) => (one.helloAt ? 2 * one.helloAt - one.openedAt : one.openedAt + PROOF_ROUND_TRIPS * rttMs)

  /** How long a try has until it counts as failed, or is closed. @param {Try} one */
  function unprovenAt(one) {
    const { transport } = one
    if (!one.failed && transport === 'ws') return Math.max(one.openedAt + WS_MOST_MS, dueBy(one))
    return !one.failed && transport === 'sse' && one.helloAt ? one.helloAt + PROBE_MOST_MS : one.openedAt + LATE_MS
  }

  /** When one that is proven may carry. @param {Try} one */
  function readyAt(one) {
    if (replaces) return 0
    if (carrier) return one.provenAt + (here(one.transport).trial ?? 0)
    // A better one is under way without a failure: a far network is no reason to leave it.
    const rivals = all().filter((other) => !other.failed && !other.provenAt && rank(other.transport) < rank(one.transport))
    return Math.max(0, ...rivals.map(dueBy))
  }

  /** @param {Try} one */
  function carry(one) {
    const before = carrier
    const { transport } = one
    carrier = one
    steps.push({ do: 'carry', id: one.id, why: one.why })
    // What failed, or had its time, while this one got through is down until it comes after all; what failed with all the others is not.
    for (const [other, ageMs] of tried) if (rank(other) < rank(transport)) lower(other, ageMs)
    tried = new Map()
    here(transport).until = 0
    here(transport).good = now + DAY_MS
    // The way back up, to what is preferred or was asked for.
    if (rank(transport)) upAt ||= now + UP_FIRST_MS
    else upAt = ups = 0
    if (last && last !== transport && one.why !== 'asked') flap()
    last = transport
    if (network) memory[network] = ladder.learned
    looked = strange = captive = false
    apartMs = failures = 0
    round = []
    // What could still do better may go on until it is late; all else has lost.
    for (const other of all()) if (other !== one && (other === before || rank(other.transport) >= rank(transport))) close(other)
  }

  /** Where transports change all the time, what disturbs them holds for all but the last. */
  function flap() {
    changes = [now, ...changes].slice(0, CHANGES_MOST)
    if (!(changes[CHANGES_MOST - 1] > now - CHANGES_MS)) return
    for (const transport of transports.slice(0, -1)) lower(transport)
    ups = CALM_UPS
    upAt = now + UP_THIRD_MS
  }

  /** What is better is tried beside the carrier. @param {string} because */
  const climb = (because) => begin(because, transports.slice(0, rank(carrier?.transport)), because === 'asked')

  /** It failed where another got through, if it carried at all at this age. @param {Transport} transport @param {number} [ageMs] */
  function lower(transport, ageMs) {
    const it = here(transport)
    it.good = 0
    if (ageMs) it.trial = Math.min(TRIAL_MOST_MS, TRIAL_LEAST_MS + ageMs)
    // Tried again while it is known to fail, it is no worse than it was.
    if (now < /** @type {number} */ (it.until)) return
    it.times = (it.times ?? 0) + 1
    it.until = now + Math.min(FADE_MS * FADE_TIMES ** it.times, FADE_MOST_MS)
  }

  /** Takes down how long it lived. @param {Try} one @returns whether it is to be left */
  function outlived(one) {
    const { transport } = one
    const life = { age: now - one.openedAt, idle: now - one.frameAt, gap: one.gap, proven: now - one.provenAt }
    const isLeft = learn(transport, here(transport), here('poll'), (lives[transport] = [life, ...(lives[transport] ?? []).slice(0, 2)]))
    if (isLeft) lower(transport, life.age)
    return isLeft
  }

  /** A try that did not get to carry. @param {Try} one @param {Fact} fact */
  function fail(one, fact) {
    const { transport } = one
    if (one.failed) return
    one.failed = true
    nextAt = now + apartMs
    steps.push({ do: 'failed', id: one.id, why: fact.why })
    if (carrier) {
      if (rank(transport) < rank(carrier.transport)) {
        lower(transport)
        upAt ||= now + UP_FIRST_MS
      }
      return
    }
    why = transport + ':' + fact.why
    strange ||= fact.foreign
    if (fact.afterMs) rest(fact.afterMs * (1 + random() / 4))
    // A hub that is away for a moment refuses all transports: no reason to change the transport.
    else if (last && !looked && (fact.foreign || (transport === last && fact.why !== 'unproven'))) round = ['check']
  }

  /** Nothing gets through, or the hub said when to come back. What carries after that may be a makeshift. */
  function rest(ms = pause(failures)) {
    captive ||= strange
    looked = !(++failures % LOOKS)
    round = [looked ? (last ?? transports.at(-1)) : 'check']
    nextAt = now + ms
    apartMs = PAUSE_LEAST_MS
    upAt = now
  }

  /** Never the least for many at once, or all would come back in the same moment. @param {number} times in a row, in ms */
  const pause = (times) => PAUSE_LEAST_MS + random() * Math.min(PAUSE_MOST_MS, PAUSE_LEAST_MS * 2 ** times)

  /** The carrier may be dead or held: others are tried beside it. @param {string} reason */
  function suspect(reason) {
    if (!carrier || carrier.suspect) return
    carrier.suspect = reason
    if (reason === 'silent') outlived(carrier)
    if (reason !== 'sleep') tried.set(carrier.transport, now - carrier.openedAt)
    const list = order(carrier.transport)
    // Gateways forget idle sockets in silence: the same transport anew is worth a try, for a WS once.
    if (list[1] && reason !== 'sleep' && (reason !== 'silent' || list[0] === 'sse' || (list[0] === 'ws' && silences++))) list.shift()
    begin(`${carrier.transport}:${reason}`, list, true)
  }

  /** Does one thing that is due, or finds when the next one is. @returns {boolean | void} whether something was done */
  function settle() {
    ladder.wakeAt = Infinity
    for (const one of all()) if (one !== carrier && settleTry(one)) return true
    if (round.length) {
      if (!due(nextAt)) return
      open()
    } else if (carrier) return settleCarrier(carrier)
    else if (isTrying()) return
    else rest()
    return true
  }

  /** @param {Try} one */
  function settleTry(one) {
    const { provenAt } = one
    if (!due(provenAt ? readyAt(one) : unprovenAt(one))) return
    if (provenAt && !silent(one)) carry(one)
    else {
      if (provenAt || now >= one.openedAt + LATE_MS) close(one)
      fail(one, { why: 'unproven' })
    }
    return true
  }

  /** @param {Try} carrier */
  function settleCarrier(carrier) {
    const { transport } = carrier
    const isAlone = tries.size < 2
    if (carrier.suspect) {
      if (!isAlone) return
      // Nothing else got through: a suspect that speaks is kept, a silent one is dead.
      carrier.suspect = ''
      carrier.slow = 0
      if (silent(carrier)) lose()
    } else if (due(carrier.frameAt + carrier.silentMs)) suspect('silent')
    else if (transport === 'sse' && !carrier.pinged && due(carrier.helloAt + PROBE_MOST_MS)) suspect('held')
    else if (!isAlone) return
    else if (due(carrier.renewAt)) {
      carrier.renewAt = Infinity
      begin('age', [transport], true)
    } else if (upAt && !hiddenAt && due(upAt)) {
      upAt = now + ([UP_SECOND_MS, UP_THIRD_MS][ups++] ?? UP_LAST_MS)
      climb('up')
    } else return
    return true
  }

  return ladder
}

export class Ladder {
  constructor({ transports, random, memory, link }) {
    const ladder = newLadder(transports, random, memory, link)
    this.l = ladder
  }
  get wakeAt() { return this.l.wakeAt }
  get learned() { return this.l.learned }
  get memory() { return this.l.memory }
  observe(now, type, fact) { return this.l.see(now, type, fact) }
}
