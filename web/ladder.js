/**
 * The ladder: what was seen, and when, decides what to try, and when.
 * Pure: the clock and randomness are arguments; knows no socket, no frame's content, no handle.
 * A *try* is one attach of one transport. The *carrier* is the proven try that carries the session.
 * A *round* is a list of transports to be tried, each beside the one before it. Facts go in by
 * `see`, steps come out; `wakeAt` says when to ask again if nothing happens.
 * Its state is local to one closure, whose functions are the rules; each is short.
 */
import { learn, TIMER_LEAST_MS } from './cuts.js'

/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./rungs.js').Try} Try */
/** @typedef {import('./rungs.js').Fact} Fact @typedef {import('./rungs.js').FactType} FactType @typedef {import('./rungs.js').Step} Step */
/** @typedef {import('./rungs.js').Ladder} Ladder @typedef {(fact: Fact, one: Try) => any} See what follows from a fact */

/** The round-trip time to assume until one was measured, in ms: a slow mobile network. */
const RTT_ASSUMED_MS = 400
/** Longest round trip to conclude from a first sign, in ms: it may have needed several. */
const RTT_SIGN_MOST_MS = 600
/** A try has so many round trips for its proof (TCP, TLS, the request, its ping), and this at least, in ms; then it counts as failed. */
const PROOF_ROUND_TRIPS = 4
const PROOF_LEAST_MS = 1000
/** The next transport is tried beside one that is not proven by then, in ms, and two round trips; but not later than the other. */
const BESIDE_MS = 250
const BESIDE_MOST_MS = 700
/** A try that is not proven by then, in ms, is closed; until then it is still welcome. */
const LATE_MS = 10_000
/** The lone ping of `probe=1` must come before this, in ms after hello: it is sent after 150 ms, and 1.2 s of silence follow. */
const PROBE_MOST_MS = 1100
/** Sooner than this, in ms after hello (half of the 150), it came in one piece with it: something held both, or the page was busy. */
const LONE_MS = 75
/** The hub sends a second probe 5 s after hello. So long after hello, in ms, a ping proves what the first could not. */
const PROBE_AGAIN_MS = 3000
/** Pauses in which nothing gets through, in ms: never more than a request a second, and on top of that full jitter, of so much at first and at most. */
const PAUSE_LEAST_MS = 1000
const JITTER_MS = 500
const JITTER_MOST_MS = 14_000
/** A cut carrier is replaced at once, but after so many in a row that lived shorter than this, in ms, with a pause. */
const CUTS_FREE = 5
const STEADY_MS = 5000
/** Below the best transport it is tried again after so long, in ms, then after so many times longer, at most each half hour: 30 s, 2 min, 10 min, 30 min. */
const UP_MS = 30_000
const UP_TIMES = 4.5
const UP_MOST_MS = 1_800_000
/** Transports that changed within this, in ms, go on with the waits before they try again: so they cannot flap more than six times in it. */
const CALM_MS = 300_000
/** Of the age at which a transport is cut: when its successor is attached. */
const RENEW_PART = 0.8
/** Hidden for so long, in ms, a page may have come to another network. */
const HIDDEN_LONG_MS = 300_000
/** A timer that is this late, in ms, says that the page slept. */
const SLEEP_MS = 5000
/** Silence in heartbeats after which a carrier is suspect. */
const SILENT_BEATS = 1.5
/** A poll that is not answered by then, in ms, is suspect: the hub holds it for 25 s, and it may be late by 5. */
const POLL_SILENT_MS = 30_000
/** So many events in a row that are later than this, in ms, make a stream suspect. */
const SLOW_MOST = 3
const SLOW_MS = 1000
/** A transport that was suspect must live so long, in ms, beside the carrier before it carries again. */
const TRIAL_MS = 60_000
/** How long a success is remembered, in ms. */
const DAY_MS = 24 * 3_600_000
/** A failure is remembered so many times longer than the one before it, the first one as if this, in ms, had been before it, and a day at most: networks change. */
const FADE_TIMES = 6
const FADE_MS = 100_000
/**
 * @param {Transport[]} transports the order is the preference
 * @param {() => number} random
 * @param {Record<string, any>} [memory] as an earlier ladder left it: what was learned, by network; and under '' the last one
 * @returns {Ladder}
 */
export function newLadder(transports, random, memory = {}) {
  /** @type {Map<number, Try>} */
  const tries = new Map()
  /** @type {Ladder} */
  const ladder = { see, wakeAt: Infinity, learned: memory[memory['']] ?? {}, memory }
  /** How far the clock was set back, in ms. */
  let shift = 0
  /** @type {Try | undefined} */
  let carrier
  let now = 0
  /** @type {Step[]} */
  let steps
  let lastId = 0
  let rttMs = RTT_ASSUMED_MS
  const given = transports
  /** Least difference of the clocks seen, in ms; a little more with each event, since clocks drift. */
  let skew = Infinity
  /** Events of the carrier in a row that were late. */
  let slow = 0
  /** The last that carried. @type {Transport | undefined} */
  let last
  /** The round: what is left of it, why, and when the next one is due. @type {Transport[]} */
  let round = []
  let why = ''
  let nextAt = 0
  /** Nothing was heard of the hub since it carried, or since all were tried: it may be away. */
  let isLost = false
  /** Somebody else answered since then. */
  let strange = /** @type {boolean | undefined} */ (false)
  /** Carriers that were cut soon, since one was steady; over the free ones also rounds in which nothing got through. */
  let failures = 0
  /** From when on the wait counts until what is better than the carrier is tried: the last try or change of transport, or 0 for at once; and how often it was tried. */
  let upFrom = Infinity
  let ups = 0
  let hiddenAt = 0
  /** Of the hub. @type {string | undefined} */
  let version
  let isOffline = false
  let state = 'connecting'

  /** @param {number} at @param {FactType} type @param {Fact} [fact] */
  function see(at, type, fact = {}) {
    steps = []
    // A clock that was set back goes on from where it was: what is due is due all the same.
    shift = Math.max(shift, now - at)
    now = at + shift
    // Timers do not run in a sleeping page, and what is heard after it may be an echo.
    if (carrier && now > deadline(carrier) + SLEEP_MS) fail(carrier, 'sleep')
    const one = /** @type {Try} */ (tries.get(/** @type {number} */ (fact.id)))
    // What an attach that was given up tells is no fact any more; a tick is none.
    if (one || !fact.id) facts[type]?.(fact, one)
    // What is due may make more due, or bring the next moment nearer: until nothing is.
    while (!settle());
    ladder.wakeAt -= shift
    const next = carrier ? 'connected' : isOffline ? 'offline' : isLost && strange ? 'captive' : last ? 'reconnecting' : 'connecting'
    if (next !== state) steps.push({ do: 'state', state: (state = next), why })
    return steps
  }

  /** @type {Partial<Record<FactType, See>>} */
  const facts = {
    start: () => tries.size || begin('start'),
    rtt: ({ ms }) => (rttMs = /** @type {number} */ (ms)),
    /** By hand; what is none of them is the ladder's own choice. */
    use({ transport }) {
      transports = [...given].sort((one, other) => Number(other === transport) - Number(one === transport))
      if (carrier) climb('asked')
      else begin('asked', transports)
    },
    /** Another list of channels: the same transport, attached anew beside the old one. */
    reopen: () => carrier && begin('channels', [carrier.transport]),
    hello({ beat, network, build }, one) {
      const { transport, openedAt } = one
      one.helloAt = now
      if (transport !== 'poll') one.silentMs = SILENT_BEATS * 1000 * /** @type {number} */ (beat)
      // How far the network is, at most.
      rttMs = Math.min(now - openedAt, RTT_SIGN_MOST_MS)
      if ((version ??= build) !== build || (memory[''] ??= network) !== network) upFrom = 0
      version = build
      memory[''] = network
      ladder.learned = memory[/** @type {string} */ (network)] ??= {}
    },
    /** Anything came. */
    frame({ ping, time }, one) {
      const { transport } = one
      one.gap = Math.max(one.gap, now - one.frameAt)
      one.frameAt = now
      const lateMs = now - /** @type {number} */ (time) - skew
      // What was published before this attach began was replayed.
      const isLate = lateMs > Math.max(SLOW_MS, 4 * rttMs) && lateMs < now - one.openedAt
      const age = now - one.helloAt
      if (ping && transport === 'sse' && !isLate && age > LONE_MS && (age < PROBE_MOST_MS || age > PROBE_AGAIN_MS)) one.provenAt ||= now
      if (!time) return
      skew = Math.min(skew + 1, now - time)
      if (one !== carrier || transport === 'poll') return
      slow = isLate ? slow + 1 : 0
      if (slow < SLOW_MOST) return
      // The clock may have been set forward.
      skew = Infinity
      fail(one, 'slow')
    },
    /** The hub answered what only it can, to us. */
    proof: (fact, one) => (one.provenAt ||= now),
    /** A command went unanswered. */
    mute: () => carrier && fail(carrier, 'mute'),
    ended(fact, one) {
      const { transport, openedAt, frameAt, provenAt, failed } = one
      const { planned, afterMs = 0, foreign } = fact
      tries.delete(one.id)
      if (one !== carrier) return fail(one, fact.why, fact)
      if (!planned && !isOffline && !failed) outlived(one)
      lose()
      begin(`${transport}:${fact.why}`)
      strange = foreign
      // A chain of polls that was answered more than once is as steady as a poll can be.
      failures = planned || now >= openedAt + STEADY_MS || (transport === 'poll' && frameAt > /** @type {number} */ (provenAt)) ? 0 : failures + 1
      nextAt += pause() + afterMs
    },
    offline: () => (isOffline = true),
    online() {
      isOffline = false
      failures = 0
      // Its socket may belong to the network that was left.
      if (carrier) fail(carrier, 'sleep')
      else begin('online')
    },
    hidden: () => (hiddenAt = now),
    visible() {
      if (now > hiddenAt + HIDDEN_LONG_MS) upFrom = 0
      hiddenAt = 0
    },
    /** The page goes into the cache of pages, or for good. WebKit ends its connections just before: those were no cuts. */
    pause() {
      lose()
      begin('pagehide')
      nextAt = Infinity
      if (last) here(last).cut = undefined
    },
    /** Publishes find no way: on WS they would. */
    blocked: () => (upFrom = 0),
  }

  /** What is known here. @param {Transport} transport @returns {import('./cuts.js').Known} */
  const here = (transport) => (ladder.learned[transport] ??= {})

  /** 0 is the best. @param {Transport} transport */
  const rank = (transport) => transports.indexOf(transport)

  /** What to try, in order: the last that carried first. Memory orders, and never forbids. */
  function order() {
    const place = (/** @type {Transport} */ transport) => (isDown(here(transport)) ? 2 : transport === last ? 0 : 1)
    return [...transports].sort((one, other) => place(one) - place(other))
  }

  /** It failed where another got through. @param {import('./cuts.js').Known} known */
  const isDown = ({ good, until = 0 }) => !good && now < until

  /** What is preferred to it. @param {Transport} transport */
  const better = (transport) => transports.slice(0, rank(transport))

  /** @param {number} at @returns {boolean} */
  const due = (at) => now >= at || ((ladder.wakeAt = Math.min(ladder.wakeAt, at)), false)

  /** @param {Try} one */
  const close = ({ id }) => tries.delete(id) && steps.push({ do: 'close', id })

  /** Nothing carries. */
  function lose() {
    if (carrier) close(carrier)
    carrier = undefined
    isLost = true
  }

  /** A new round instead of what was under way. @param {string} because @param {Transport[]} [list] */
  function begin(because, list = order()) {
    for (const one of tries.values()) if (one !== carrier) close(one)
    round = list
    why = because
    nextAt = now
  }

  function open() {
    const transport = /** @type {Transport} */ (round.shift())
    const known = here(transport)
    /** @type {Step & {do: 'open'}} */
    const step = { ...known, do: 'open', id: ++lastId, transport, why }
    tries.set(lastId, { ...step, openedAt: now, frameAt: now, helloAt: 0, renewAt: now + RENEW_PART * (known.age ?? Infinity), silentMs: POLL_SILENT_MS, gap: TIMER_LEAST_MS })
    steps.push(step)
    // Whoever is tried beside it is tried because of it.
    if (!isLost) why = transport + ':slow'
    nextAt = now + Math.min(BESIDE_MS + 2 * rttMs, BESIDE_MOST_MS)
  }

  /** When something must have been heard of it. @param {Try} one */
  function deadline({ transport, openedAt, frameAt, helloAt, provenAt, silentMs, failed }) {
    if (provenAt) return frameAt + silentMs
    if (failed) return openedAt + LATE_MS
    if (helloAt && transport === 'sse') return helloAt + PROBE_MOST_MS
    // By how far the network is, or as long after its hello as that took.
    return openedAt + Math.max(PROOF_LEAST_MS, PROOF_ROUND_TRIPS * rttMs, 2 * (helloAt - openedAt))
  }

  /** @param {Try} one */
  function carry(one) {
    const old = carrier
    const { transport } = one
    // The hub is back, and it is not the first choice that found it: that may get through now. A hub that is away for
    // a moment refuses all transports, which is no reason to change the transport.
    const isMakeshift = isLost && transport !== order()[0]
    isLost = strange = false
    if (isMakeshift) return begin(why)
    carrier = one
    one.failed = ''
    why = one.why
    steps.push({ do: 'carry', id: one.id })
    if (transport !== last) {
      // What has had its time while this one got through is down until it comes after all.
      for (const other of better(transport)) if (!round.includes(other)) lower(other)
      if (now > upFrom + CALM_MS) ups = 0
      upFrom &&= now
    }
    last = transport
    here(transport).good = now + DAY_MS
    round = []
    // What could still do better may go on until it is late; all else has lost.
    for (const other of tries.values()) if (other !== one && (other === old || rank(other.transport) >= rank(transport))) close(other)
  }

  /** What is better is tried beside the carrier. @param {string} because */
  function climb(because) {
    ups++
    upFrom = now
    begin(because, better(/** @type {Try} */ (carrier).transport))
  }

  /** It failed where another got through: it is down for a while. @param {Transport} transport */
  function lower(transport) {
    const it = here(transport)
    // Tried again while it is known to fail, it is no worse than it was.
    if (isDown(it)) return
    it.good = 0
    it.fade = Math.min(FADE_TIMES * (it.fade ?? FADE_MS), DAY_MS)
    it.until = now + it.fade
  }

  /** Takes down how long it lived. @param {Try} one */
  function outlived({ transport, openedAt, frameAt, gap }) {
    if (learn(transport, here(transport), here('poll'), now - openedAt, now - frameAt, gap)) lower(transport)
  }

  /**
   * A try that did not get to carry; or a carrier that may be dead or held: others are tried beside it.
   * @param {Try} one @param {string} [because] @param {Fact} [fact]
   */
  function fail(one, because = '', { afterMs, foreign } = {}) {
    const { id, transport, failed } = one
    if (failed) return
    one.failed = because
    nextAt = now
    steps.push({ do: 'failed', id, why: because })
    if (one === carrier) {
      const list = order()
      // What slept is attached anew; what is held would be held again.
      if (because !== 'sleep') {
        if (list[1]) list.shift()
        here(transport).trial = TRIAL_MS
        outlived(one)
      }
      begin(`${transport}:${because}`, list)
    } else if (carrier) {
      if (transport !== last) lower(transport)
    } else {
      if (!isLost) why = `${transport}:${because}`
      strange ||= foreign
      if (afterMs) rest(afterMs)
    }
  }

  /** Nothing gets through, or the hub said when to come back: one try after each pause, each time another. @param {number} [afterMs] */
  function rest(afterMs = 0) {
    const list = order()
    failures = Math.max(failures, CUTS_FREE) + 1
    round = [list[failures % list.length]]
    nextAt = now + pause() + afterMs
    isLost = true
  }

  /** Never the least for many at once, or all would come back in the same moment. */
  const pause = () => (failures > CUTS_FREE ? PAUSE_LEAST_MS + random() * Math.min(JITTER_MOST_MS, JITTER_MS * 2 ** (failures - CUTS_FREE)) : 0)

  /** Does one thing that is due, or finds when the next one is. @returns {boolean | void} whether nothing is */
  function settle() {
    ladder.wakeAt = Infinity
    let isTrying = false
    for (const one of tries.values()) {
      if (one !== carrier && settleTry(one, isTrying)) return
      isTrying ||= !one.failed && !one.provenAt
    }
    if (round.length) {
      if (!due(nextAt)) return true
      open()
    } else if (carrier) return settleCarrier(carrier)
    else if (isTrying) return true
    else rest()
  }

  /** Does what is due with one. @param {Try} one @param {boolean} hasRival one that comes before it has not failed yet: a far network is no reason to leave it */
  function settleTry(one, hasRival) {
    const { transport, helloAt, provenAt, failed, good = 0, trial = 0 } = one
    if (due(deadline(one))) {
      if (failed) close(one)
      else fail(one, 'unproven')
      return true
    }
    // On a network where it carried before, a stream is taken at its word until its probe is due.
    const isProven = provenAt || (transport === 'sse' && helloAt && now < good)
    if (!isProven || hasRival || !due(!carrier || carrier.failed || good ? 0 : /** @type {number} */ (provenAt) + trial)) return
    carry(one)
    return true
  }

  /** The same. @param {Try} carrier @returns {boolean | void} */
  function settleCarrier(carrier) {
    if (!carrier.failed && due(deadline(carrier))) fail(carrier, 'silent')
    else if (tries.size > 1) return true
    else if (carrier.failed) {
      // Nothing else got through: a suspect that speaks is kept, a silent one is dead.
      carrier.failed = ''
      if (due(deadline(carrier))) lose()
    } else if (due(carrier.renewAt)) {
      carrier.renewAt = Infinity
      begin('age', [carrier.transport])
    } else if (rank(carrier.transport) && !hiddenAt && due(upFrom + Math.min(UP_MS * UP_TIMES ** ups, UP_MOST_MS))) climb('up')
    else return true
  }

  return ladder
}
