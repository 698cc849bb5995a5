/**
 * The ladder: what was seen, and when, decides what to try, and when.
 * Pure: the clock and randomness are arguments; knows no socket, no frame's content, no handle.
 * A *try* is one attach of one transport. The *carrier* is the proven try that carries the session.
 * A *round* is a list of transports to be tried, each beside the one before it. Facts go in by
 * `see`, steps come out; `wakeAt` says when to ask again if nothing happens.
 * Its state is local to one closure, whose functions are the rules; each is short.
 */
import { known, learn, lower, WAIT_S } from './cuts.js'

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
/** Sooner than this, in ms after what came before it, it came in one piece with that: something held both, or the page was busy. */
const LONE_MS = 20
/** The hub sends a second probe 5 s after hello. So long after hello, in ms, a lone ping proves what the first could not. */
const PROBE_AGAIN_MS = 3000
/** Pauses in which nothing gets through, in ms, with full jitter: never more than a request a second. */
const PAUSE_LEAST_MS = 1000
const PAUSE_MOST_MS = 20_000
/** Each so-many-th pause ends with a try: a gateway may let through all but the address that is looked at. */
const LOOKS = 4
/** A look for the hub that is not answered, in ms. */
const LOOK_MOST_MS = 3000
/** A cut carrier is replaced at once, but after so many in a row that lived shorter than this, in ms, with a pause. */
const CUTS_FREE = 3
const STEADY_MS = 5000
/** Below the best transport it is tried again after so long, in ms; then each half hour. */
const UP_MS = [30_000, 120_000, 600_000, 1_800_000]
/** Hidden for so long, in ms, a page may have come to another network. */
const HIDDEN_LONG_MS = 300_000
/** So many changes of transport in so long, in ms, are flapping: then the last transport is best for a while. */
const CHANGES_MOST = 6
const CHANGES_MS = 300_000
const CALM_UPS = 2
/** A timer that is this late, in ms, says that the page slept. */
const SLEEP_MS = 5000
/** Silence in heartbeats after which a carrier is suspect; an event so late, in parts of that silence, is half a heartbeat late. */
const SILENT_BEATS = 1.5
const LATE_PART = 1 / 3
/** A heartbeat in seconds, until the hub tells its own. */
const BEAT_S = 15
/** A held poll may be late by this, in ms. */
const POLL_LATE_MS = 5000
/** So many events in a row that are later than this, in ms, make a stream suspect. */
const SLOW_MOST = 3
const SLOW_MS = 1000
/** A success is remembered for a day. */
const GOOD_MS = 24 * 3_600_000
/** Networks remembered, with their links: a browser comes to few, and its storage is small. */
const NETWORKS_MOST = 40

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
  const ladder = { see, wakeAt: Infinity, tries, carrier: undefined, learned: { ...memory[network] }, memory }
  let now = 0
  /** @type {Step[]} */
  let steps
  let lastId = 0
  let rttMs = RTT_ASSUMED_MS
  /** Chosen by hand. @type {Transport | undefined} */
  let fixed
  /** The last that carried. @type {Transport | undefined} */
  let last
  /** The round: what is left of it, why, whether its tries replace the carrier, and when the next one is due. @type {Transport[]} */
  let round = []
  let why = ''
  let replaces = false
  let nextAt = 0
  /** Opened since something carried. @type {Set<Transport>} */
  const tried = new Set()
  /** When to look for the hub: nothing is tried before. */
  let pauseAt = Infinity
  /** Pauses since something carried, and carriers in a row that were cut soon. */
  let pauses = 0
  let cuts = 0
  /** A look found the hub since something carried; something else answered. */
  let looked = false
  let strange = false
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
  let paused = false
  let state = ''
  /** @type {string | undefined} */
  let build

  /** @param {number} at @param {FactType} type @param {Fact} [fact] */
  function see(at, type, fact = {}) {
    steps = []
    now = at
    // Timers do not run in a sleeping page, and what is heard after it may be an echo.
    if (ladder.carrier && now > ladder.wakeAt + SLEEP_MS && silent(ladder.carrier)) suspect('sleep')
    const one = tries.get(fact.id ?? 0)
    // What an attach that was given up tells is no fact any more.
    if (one || !fact.id) facts[type](fact, /** @type {Try} */ (one))
    // What is due may make more due, or bring the next moment nearer: until nothing is.
    while (settle());
    return steps
  }

  /** @type {Record<FactType, See>} */
  const facts = {
    start: () => tries.size || begin(order(), 'start'),
    tick() {},
    rtt: ({ ms = 0 }) => (rttMs = ms),
    /** By hand. */
    use({ transport }) {
      fixed = transport === 'auto' ? undefined : transport
      if (fixed && !transports.includes(fixed)) transports = [...transports, fixed]
      if (!ladder.carrier) return begin(order(), 'asked')
      plan(ladder.carrier)
      climb(ladder.carrier, 'asked')
    },
    /** Another list of channels: the same transport, attached anew beside the old one. */
    reopen: () => ladder.carrier && begin([ladder.carrier.transport], 'channels', true),
    hello({ beat, network: name, build: made }, one) {
      heard(one)
      one.helloAt = one.frameAt = now
      if (beat && one.transport !== 'poll') one.silentMs = SILENT_BEATS * 1000 * beat
      // On a network where it carried before, a stream is taken at its word until its probe is due.
      if (one.transport === 'sse' && now < (known(ladder.learned, 'sse').good ?? 0)) one.provenAt = now
      if (build && made !== build) upAt = now
      build = made
      if (!name || name === network) return
      if (network) upAt = now
      // The first name of a network is that of what was learned so far.
      if (network || memory[name]) ladder.learned = { ...memory[name] }
      if (Object.keys(memory).length > NETWORKS_MOST) ladder.memory = memory = {}
      memory['?' + link] = network = name
    },
    /** Anything came. */
    frame({ ping, time }, one) {
      const { helloAt } = one
      const gap = now - one.frameAt
      heard(one)
      one.gap = Math.max(one.gap, gap)
      one.frameAt = now
      if (one.suspect === 'silent') {
        one.suspect = ''
        begin([])
      }
      if (ping) {
        const isLone = now < helloAt + PROBE_MOST_MS ? now > helloAt + LONE_MS : now > helloAt + PROBE_AGAIN_MS && gap > LONE_MS
        if (one.transport === 'sse' && isLone) one.provenAt ||= now
        one.fromTime = Math.min(one.fromTime, time ?? 0)
      }
      if (!time || time < one.fromTime) return
      one.skew = Math.min(one.skew, now - time)
      const lateMs = now - time - one.skew
      one.slow = lateMs > Math.max(SLOW_MS, 4 * rttMs) ? one.slow + 1 : 0
      if (one === ladder.carrier && (one.slow >= SLOW_MOST || (ping && lateMs > one.silentMs * LATE_PART))) suspect('slow')
    },
    /** The hub answered what only it can, to us. */
    proof: (fact, one) => (one.provenAt ||= one.frameAt = now),
    /** A command went unanswered. */
    mute: () => suspect('mute'),
    ended(fact, one) {
      const { transport, openedAt, frameAt, provenAt } = one
      const { planned, afterMs, foreign } = fact
      tries.delete(one.id)
      if (one !== ladder.carrier) return fail(one, fact)
      const isLeft = !planned && !isOffline && one.suspect !== 'sleep' && outlived(one)
      // A chain of polls that was answered more than once is as steady as a poll can be.
      if (planned || now >= openedAt + STEADY_MS || (transport === 'poll' && frameAt > provenAt)) cuts = 0
      lose(`${transport}:${fact.why}`)
      if (round.length || isTrying()) return
      begin(order(isLeft ? undefined : transport), `${transport}:${fact.why}`)
      nextAt += afterMs ?? (isLeft || cuts++ < CUTS_FREE ? 0 : pause(cuts - CUTS_FREE))
      if (foreign) {
        strange = true
        look()
      }
    },
    /** What the look for the hub found. */
    checked({ ok, foreign = false }) {
      if (pauseAt === Infinity) return
      if (!ok) return rest(foreign)
      strange = false
      looked = true
      begin(order(last))
    },
    offline: () => (isOffline = true),
    online() {
      isOffline = false
      // Its socket may belong to the network that was left.
      if (ladder.carrier) suspect('sleep')
      else begin(order(), 'online')
    },
    hidden: () => (hiddenAt = now),
    visible() {
      if (now > hiddenAt + HIDDEN_LONG_MS) upAt &&= now
      hiddenAt = 0
    },
    /** The page goes into the cache of pages, or for good. WebKit ends its connections just before: those were no cuts. */
    pause() {
      begin([])
      lose('pagehide')
      paused = true
      lives = {}
    },
    /** Publishes find no way: on WS they would. */
    blocked: () => (upAt &&= now),
  }

  /** 0 is the best. @param {Transport} transport */
  const rank = (transport) => (fixed ? Number(transport !== fixed) : transports.indexOf(transport))

  /** What to try, in order; memory orders, and never forbids. @param {Transport} [first] */
  function order(first) {
    const place = (/** @type {Transport} */ transport) =>
      transport === first ? -1 : rank(transport) + (fixed || now >= (known(ladder.learned, transport).until ?? 0) ? 0 : transports.length)
    return [...transports].sort((one, other) => place(one) - place(other))
  }

  /** @param {number} at @returns {boolean} */
  const due = (at) => now >= at || ((ladder.wakeAt = Math.min(ladder.wakeAt, at)), false)

  /** @param {Try} one */
  const silent = ({ frameAt, silentMs }) => now >= frameAt + silentMs

  /** Is anything under way that has not failed? */
  const isTrying = () => [...tries.values()].some(({ failed }) => !failed)

  /** The first sign of a request shows how far the network is; a WS needs several round trips for it. @param {Try} one */
  function heard({ transport, openedAt, frameAt }) {
    if (transport !== 'ws' && frameAt === openedAt) rttMs = Math.min(now - openedAt, RTT_SIGN_MOST_MS)
  }

  /** @param {Try} one */
  const close = ({ id }) => tries.delete(id) && steps.push({ do: 'close', id })

  /** @param {string} next @param {string} because */
  function to(next, because) {
    if (next !== state) steps.push({ do: 'state', state: (state = next), why: because })
  }

  /** Nothing carries. @param {string} because */
  const away = (because) => to(isOffline ? 'offline' : strange ? 'captive' : last ? 'reconnecting' : 'connecting', because)

  /** @param {string} because */
  function lose(because) {
    if (ladder.carrier) close(ladder.carrier)
    ladder.carrier = undefined
    away(because)
  }

  /** A new round instead of what was under way. @param {Transport[]} list @param {string} [because] @param {boolean} [isInstead] of the carrier */
  function begin(list, because = why, isInstead = false) {
    for (const one of tries.values()) if (one !== ladder.carrier) close(one)
    round = list
    why = because
    replaces = isInstead
    nextAt = now
    pauseAt = Infinity
    paused = false
  }

  function open() {
    const transport = /** @type {Transport} */ (round.shift())
    const { beat, wait, early, age = Infinity } = known(ladder.learned, transport)
    const id = ++lastId
    const silentMs = transport === 'poll' ? 1000 * (wait ?? WAIT_S) + Math.max(POLL_LATE_MS, 4 * rttMs) : SILENT_BEATS * 1000 * (beat ?? BEAT_S)
    tries.set(id, { id, transport, why, replaces, openedAt: now, frameAt: now, helloAt: 0, provenAt: 0, renewAt: now + 0.8 * age, silentMs, gap: 0, fromTime: Infinity, skew: Infinity, slow: 0 })
    tried.add(transport)
    steps.push({ do: 'open', id, transport, why, beat, wait, early })
    // Whoever is tried beside it is tried because of it.
    if (!replaces) why = transport + ':slow'
    nextAt = now + (transport === 'ws' ? Math.min(BESIDE_WS_MS + 2 * rttMs, BESIDE_WS_MOST_MS) : Math.min(BESIDE_MS + 2 * rttMs, BESIDE_MOST_MS))
  }

  /** When it should be proven, by how far the network is, or else as long after its hello as that took. @param {Try} one */
  const dueBy = ({ openedAt, helloAt }) => (helloAt ? 2 * helloAt - openedAt : openedAt + PROOF_ROUND_TRIPS * rttMs)

  /** How long a try has until it counts as failed, or is closed. @param {Try} one */
  function unprovenAt(one) {
    const { transport, failed, openedAt, helloAt } = one
    if (transport === 'ws' && !failed) return Math.max(openedAt + WS_MOST_MS, dueBy(one))
    return transport === 'sse' && !failed && helloAt ? helloAt + PROBE_MOST_MS : openedAt + LATE_MS
  }

  /** When one that is proven may carry. @param {Try} one */
  function readyAt({ transport, provenAt, replaces }) {
    if (replaces) return 0
    if (ladder.carrier) return provenAt + (known(ladder.learned, transport).trial ?? 0)
    // A better one is under way without a failure: a far network is no reason to leave it.
    const rivals = [...tries.values()].filter((other) => !other.failed && !other.provenAt && rank(other.transport) < rank(transport))
    return Math.max(0, ...rivals.map(dueBy))
  }

  /** @param {Try} one */
  function carry(one) {
    const { carrier: before, learned } = ladder
    const { id, transport } = one
    const here = known(learned, transport)
    ladder.carrier = one
    steps.push({ do: 'carry', id, why: one.why })
    if (before?.suspect && before.suspect !== 'sleep' && before.transport !== transport) lower(known(learned, before.transport), now, now - before.openedAt)
    // What failed, or had its time, while this one got through is down until it comes after all; what failed with all the others is not.
    for (const other of tried) if (rank(other) < rank(transport)) lower(known(learned, other), now)
    tried.clear()
    here.until = 0
    here.good = now + GOOD_MS
    plan(one)
    if (last && last !== transport && one.why !== 'asked') flap()
    last = transport
    if (network) memory[network] = learned
    pauses = 0
    pauseAt = Infinity
    looked = strange = false
    round = []
    // What could still do better may go on until it is late; all else has lost.
    for (const other of tries.values()) if (other !== one && (other === before || rank(other.transport) >= rank(transport))) close(other)
    to('connected', one.why)
    steps.push({ do: 'keep' })
  }

  /** Where transports change all the time, what disturbs them holds for all but the last. */
  function flap() {
    changes = [now, ...changes].filter((at) => at > now - CHANGES_MS)
    if (changes.length < CHANGES_MOST) return
    for (const transport of transports.slice(0, -1)) lower(known(ladder.learned, transport), now)
    ups = CALM_UPS
    upAt = now + UP_MS[ups]
  }

  /** Plans the way back up, to what is preferred or was asked for. @param {Try} carrier */
  function plan({ transport }) {
    if (rank(transport)) upAt ||= now + UP_MS[0]
    else upAt = ups = 0
  }

  /** @param {Try} carrier @param {string} because */
  const climb = (carrier, because) => begin(order().filter((transport) => rank(transport) < rank(carrier.transport)), because, !!fixed)

  /** Takes down how long it lived. @param {Try} one @returns whether it is to be left */
  function outlived({ transport, openedAt, frameAt, provenAt, gap }) {
    const { learned } = ladder
    const life = { age: now - openedAt, idle: now - frameAt, gap, proven: now - provenAt }
    const all = (lives[transport] = [life, ...(lives[transport] ?? [])].slice(0, 3))
    const isLeft = learn(learned, transport, all)
    if (isLeft) lower(known(learned, transport), now, life.age)
    return isLeft
  }

  /** A try that did not get to carry. @param {Try} one @param {Fact} fact */
  function fail(one, { why: because = '', afterMs, foreign = false }) {
    const { carrier } = ladder
    const { id, transport } = one
    if (one.failed) return
    one.failed = true
    nextAt = now
    steps.push({ do: 'failed', id, why: because })
    if (carrier) {
      if (rank(transport) < rank(carrier.transport)) lower(known(ladder.learned, transport), now)
      return
    }
    why = `${transport}:${because}`
    strange ||= foreign
    if (afterMs) rest(false, afterMs * (1 + random() / 4))
    // A hub that is away for a moment refuses all transports: no reason to change the transport.
    else if (last && !looked && (foreign || (transport === last && because !== 'unproven'))) look()
  }

  /** Nothing gets through, or the hub said when to come back. @param {boolean} foreign @param {number} [ms] */
  function rest(foreign, ms = pause(pauses)) {
    pauses++
    strange ||= foreign
    looked = false
    round = []
    pauseAt = now + ms
    away(why)
  }

  /** @param {number} times in a row, in ms */
  const pause = (times) => PAUSE_LEAST_MS + random() * (Math.min(PAUSE_MOST_MS, 2 * PAUSE_LEAST_MS * 2 ** times) - PAUSE_LEAST_MS)

  /** Is it the hub that answers? Nothing is tried until that is known. */
  function look() {
    pauseAt = now + LOOK_MOST_MS
    steps.push({ do: 'check' })
  }

  /** The carrier may be dead or held: others are tried beside it. @param {string} reason */
  function suspect(reason) {
    const { carrier } = ladder
    if (!carrier || carrier.suspect) return
    carrier.suspect = reason
    if (reason === 'silent') outlived(carrier)
    const [same, ...others] = order(carrier.transport)
    // Gateways forget idle sockets in silence: once, the same transport anew is worth a try.
    const isAgain = !others.length || reason === 'sleep' || (reason === 'silent' && same === 'ws' && !silences++)
    begin(isAgain ? [same, ...others] : others, `${same}:${reason}`, true)
  }

  /** Does one thing that is due, or finds when the next one is. @returns {boolean | void} whether something was done */
  function settle() {
    const { carrier } = ladder
    ladder.wakeAt = Infinity
    for (const one of tries.values()) if (one !== carrier && settleTry(one)) return true
    if (pauseAt < Infinity) {
      if (!due(pauseAt)) return
      if (pauses % LOOKS) look()
      else {
        begin([last ?? transports[transports.length - 1]])
        upAt = now
      }
    } else if (round.length) {
      if (!due(nextAt)) return
      open()
    } else if (carrier) return settleCarrier(carrier)
    else if (paused || isTrying()) return
    else rest(false)
    return true
  }

  /** @param {Try} one */
  function settleTry(one) {
    if (!one.provenAt) {
      if (!due(unprovenAt(one))) return
      if (now >= one.openedAt + LATE_MS) close(one)
      fail(one, { why: 'unproven' })
    } else if (!due(readyAt(one))) return
    else if (silent(one)) {
      close(one)
      fail(one, { why: 'silent' })
    } else carry(one)
    return true
  }

  /** @param {Try} carrier */
  function settleCarrier(carrier) {
    const { transport, frameAt, silentMs, helloAt, renewAt } = carrier
    const isAlone = tries.size < 2
    if (carrier.suspect) {
      if (!isAlone) return
      // Nothing else got through: a suspect that speaks is kept, a silent one is dead.
      carrier.suspect = ''
      carrier.slow = 0
      if (silent(carrier)) lose(transport + ':silent')
    } else if (due(frameAt + silentMs)) suspect('silent')
    else if (transport === 'sse' && carrier.fromTime === Infinity && due(helloAt + PROBE_MOST_MS)) suspect('held')
    else if (!isAlone) return
    else if (due(renewAt)) {
      carrier.renewAt = Infinity
      begin([transport], 'age', true)
    } else if (upAt && !hiddenAt && due(upAt)) {
      upAt = now + UP_MS[Math.min(++ups, UP_MS.length - 1)]
      climb(carrier, 'up')
    } else return
    return true
  }

  return ladder
}
