/**
 * The ladder: what was seen, and when, decides what to try, and when.
 * Pure: the clock and randomness are arguments; knows no socket, no frame's content, no handle.
 * A *try* is one attach of one transport. The *carrier* is the proven try that carries the session.
 * A *round* is a list of transports to be tried, each beside the one before it. Facts go in by
 * `see`, steps come out; `wakeAt` says when to ask again if nothing happens.
 */
import { learn, lower, nothingLearned, ranked, risen } from './cuts.js'

export { newLadder } from './rungs.js'

/** @typedef {import('./cuts.js').Transport} Transport @typedef {import('./cuts.js').Learned} Learned */
/** @typedef {import('./rungs.js').Ladder} Ladder @typedef {import('./rungs.js').Try} Try @typedef {import('./rungs.js').See} See */
/** @typedef {import('./rungs.js').Fact} Fact @typedef {import('./rungs.js').Step} Step */

/** A try that is not proven by then, in ms, is closed; until then a better transport is still welcome. */
const LATE_MS = 10_000
/** The lone ping of `probe=1` must come before this, in ms after hello: it is sent after 150 ms, and 1.2 s of silence follow. */
const PROBE_MOST_MS = 1100
/** Sooner than this, in ms after what came before it, it came in one piece with that: something held both, or the page was busy. */
const LONE_MS = 20
/** The hub sends a second probe 5 s after hello. So long after hello, in ms, a lone ping proves what the first could not. */
const PROBE_AGAIN_MS = 3000
/** First and longest pause between rounds of tries that all failed, in ms. */
const BACKOFF_FIRST_MS = 500
const BACKOFF_MOST_MS = 20_000
/** A cut carrier is replaced at once, but after so many in a row that lived shorter than this, in ms, with a pause. */
const CUTS_FREE = 3
const STEADY_MS = 5000
/** Looks for the hub where something else answered, in ms. */
const CAPTIVE_FIRST_MS = 2000
const CAPTIVE_MOST_MS = 30_000
/** A look that is not answered, in ms. */
const CHECK_MOST_MS = 3000
/** Below the best transport it is tried again after so long, in ms; then each half hour. */
const UP_MS = [30_000, 120_000, 600_000, 1_800_000]
/** Hidden for so long, in ms, a page may have come to another network. */
const HIDDEN_LONG_MS = 300_000
/** So many changes of transport in so long, in ms, are flapping: then the last one stays for the calm, in ms. */
const CHANGES_MOST = 6
const CHANGES_MS = 300_000
const CALM_MS = 600_000
/** A timer that is this late, in ms, says that the page slept. */
const SLEEP_MS = 5000
/** Silence in heartbeats after which a carrier is suspect. */
const SILENT_BEATS = 1.5
/** So many late events in a row make a stream suspect. */
const SLOW_MOST = 3
const BEAT_MS = 15_000
/** Networks remembered, with their links: a browser comes to few, and its storage is small. */
const NETWORKS_MOST = 40
const WAIT_MS = 25_000
/** Longest wait, in ms after its start, for a better transport that has neither failed nor said hello: a page must be usable. */
const RIVAL_MOST_MS = 2500

/**
 * @param {Ladder} ladder
 * @param {number} now in ms
 * @param {keyof typeof facts} type
 * @param {Fact} [fact]
 * @returns {Step[]}
 */
export function see(ladder, now, type, fact = {}) {
  const { carrier } = ladder
  ladder.steps = []
  ladder.now = now
  // Timers do not run in a sleeping page, and what is heard after it may be an echo.
  if (carrier && now > ladder.wakeAt + SLEEP_MS && silent(ladder, carrier)) suspect(ladder, carrier, 'sleep')
  const one = ladder.tries.get(fact.id ?? 0)
  // What an attach that was given up tells is no fact any more.
  if (one || !fact.id) facts[type](ladder, fact, /** @type {Try} */ (one))
  // What is due may make more due, or bring the next moment nearer: until nothing is.
  while (settle(ladder));
  return ladder.steps
}

const facts = {
  /** @type {See} */
  start: (ladder) => ladder.tries.size || begin(ladder, order(ladder), 'start'),
  tick() {},
  /** @type {See} */
  rtt: (ladder, { ms = 0 }) => (ladder.rttMs = ms),
  /** By hand. @type {See} */
  use(ladder, { transport }) {
    ladder.fixed = transport === 'auto' ? undefined : transport
    const wanted = ladder.fixed ? [ladder.fixed] : ladder.transports
    begin(ladder, ladder.carrier?.transport === wanted[0] ? [] : wanted, 'asked', true)
    if (ladder.carrier) upward(ladder, ladder.carrier.transport)
  },
  /** Another list of channels: the same transport, attached anew beside the old one. @type {See} */
  reopen: (ladder) => ladder.carrier && begin(ladder, [ladder.carrier.transport], 'channels', true),
  /** @type {See} */
  hello(ladder, { beat, network, build }, one) {
    heard(ladder, one)
    one.helloAt = one.frameAt = ladder.now
    if (beat) one.beatMs = beat * 1000
    if (one.transport !== 'poll') one.silentMs = SILENT_BEATS * one.beatMs
    // On a network where it carried before, a stream is taken at its word until its probe is due.
    if (one.transport === 'sse' && one.why === 'start' && ladder.learned.best === 'sse') one.provenAt = ladder.now
    if (ladder.build && build !== ladder.build) ladder.upAt = ladder.now
    ladder.build = build
    if (!network || network === ladder.network) return
    // The first name of a network is that of what was learned so far.
    const known = ladder.memory[network]
    if (known || ladder.network) ladder.learned = { ...nothingLearned(), ...known }
    if (ladder.network) ladder.upAt = ladder.now
    if (Object.keys(ladder.memory).length > NETWORKS_MOST) ladder.memory = {}
    ladder.memory['?' + ladder.link] = ladder.network = network
  },
  /** Anything came. @type {See} */
  frame(ladder, { ping, time }, one) {
    const { now } = ladder
    const { helloAt, transport } = one
    const gap = now - one.frameAt
    heard(ladder, one)
    one.gap = Math.max(one.gap, gap)
    one.frameAt = now
    if (one.suspect === 'silent') {
      one.suspect = ''
      begin(ladder, [])
    }
    const inTime = now < helloAt + PROBE_MOST_MS ? now > helloAt + LONE_MS : now > helloAt + PROBE_AGAIN_MS && gap > LONE_MS
    if (ping && transport === 'sse' && inTime) one.provenAt ||= now
    if (ping) one.fromTime ||= time ?? 1
    if (!time || !one.fromTime || time < one.fromTime) return
    one.skew = Math.min(one.skew, now - time)
    const lateMs = now - time - one.skew
    one.slow = lateMs > Math.max(1000, 4 * ladder.rttMs) ? one.slow + 1 : 0
    if (one.slow >= SLOW_MOST || (ping && lateMs > one.beatMs / 2)) suspect(ladder, one, 'slow')
  },
  /** The hub answered what only it can, to us. @type {See} */
  proof: (ladder, fact, one) => (one.provenAt ||= one.frameAt = ladder.now),
  /** A command went unanswered. @type {See} */
  mute: (ladder) => ladder.carrier && suspect(ladder, ladder.carrier, 'mute'),
  ended,
  checked,
  /** @type {See} */
  offline: (ladder) => (ladder.isOffline = true),
  /** @type {See} */
  online(ladder) {
    ladder.isOffline = false
    ladder.upAt = Math.min(ladder.upAt, ladder.now)
    // Its socket may belong to the network that was left.
    if (ladder.carrier) suspect(ladder, ladder.carrier, 'sleep')
    else if (ladder.checkAt < Infinity) ladder.checkAt = ladder.now
    else begin(ladder, order(ladder), 'online')
  },
  /** @type {See} */
  hidden: (ladder) => (ladder.hiddenAt = ladder.now),
  /** @type {See} */
  visible(ladder) {
    if (ladder.now > ladder.hiddenAt + HIDDEN_LONG_MS) ladder.upAt = Math.min(ladder.upAt, ladder.now)
    ladder.hiddenAt = 0
  },
  /** The page goes into the cache of pages, or for good. @type {See} */
  pause(ladder) {
    begin(ladder, [])
    ladder.paused = true
    lose(ladder, 'pagehide')
  },
  /** Publishes find no way: on WS they would. @type {See} */
  blocked: (ladder) => (ladder.upAt = Math.min(ladder.upAt, ladder.now)),
}

/** @param {Ladder} ladder @returns {Transport[]} what to try, in order */
function order({ fixed, transports, learned, now, calmUntil }) {
  if (fixed) return [fixed]
  return now < calmUntil ? [...transports].reverse() : ranked(transports, learned, now)
}

/** The given one first. @param {Transport} first @param {Transport[]} transports */
const firstOf = (first, transports) => [first, ...transports.filter((other) => other !== first)]

/** @param {Ladder} ladder @param {Transport} transport */
const rank = ({ transports }, transport) => transports.indexOf(transport)

/** @param {Ladder} ladder @param {Try} one */
const silent = ({ now }, one) => now >= one.frameAt + one.silentMs

/** The first sign of a request shows how far the network is; a WS needs several round trips for it. @param {Ladder} ladder @param {Try} one */
function heard(ladder, { transport, openedAt, frameAt }) {
  if (transport !== 'ws' && frameAt === openedAt) ladder.rttMs = ladder.now - openedAt
}

/** @param {Ladder} ladder @param {string} state @param {string} why */
function to(ladder, state, why) {
  if (state !== ladder.state) ladder.steps.push({ do: 'state', state: (ladder.state = state), why })
}

/** @param {Ladder} ladder @param {Try} one */
function close(ladder, { id }) {
  ladder.tries.delete(id)
  ladder.steps.push({ do: 'close', id })
}

/** There is no carrier any more. @param {Ladder} ladder @param {string} why */
function lose(ladder, why) {
  if (ladder.carrier && ladder.tries.has(ladder.carrier.id)) close(ladder, ladder.carrier)
  ladder.carrier = undefined
  to(ladder, ladder.isOffline ? 'offline' : 'reconnecting', why)
}

/** A new round instead of what was under way. @param {Ladder} ladder @param {Transport[]} transports @param {string} [why] */
function begin(ladder, transports, why = ladder.roundWhy, replaces = false) {
  for (const one of ladder.tries.values()) if (one !== ladder.carrier) close(ladder, one)
  ladder.round = [...transports]
  ladder.roundWhy = why
  ladder.replaces = replaces
  ladder.nextAt = ladder.now
  ladder.retryAt = ladder.checkAt = Infinity
  ladder.paused = false
}

/** @param {Ladder} ladder */
function open(ladder) {
  const { learned, rttMs, replaces, roundWhy: why, now, round } = ladder
  const transport = /** @type {Transport} */ (round.shift())
  const id = ++ladder.lastId
  const beat = learned.beat[transport]
  const { wait, early } = transport === 'poll' ? learned : /** @type {Partial<Learned>} */ ({})
  const beatMs = beat ? beat * 1000 : BEAT_MS
  const silentMs = transport === 'poll' ? (wait ? wait * 1000 : WAIT_MS) + Math.max(5000, 4 * rttMs) : SILENT_BEATS * beatMs
  ladder.tries.set(id, { id, transport, why, replaces, openedAt: now, helloAt: 0, provenAt: 0, frameAt: now, gap: 0, silentMs, beatMs, skew: Infinity, slow: 0 })
  ladder.steps.push({ do: 'open', id, transport, why, beat, wait, early })
  // Whoever is tried beside it is tried because of it.
  if (!replaces) ladder.roundWhy = transport + ':slow'
  ladder.nextAt = now + (transport === 'ws' ? Math.min(250 + 2 * rttMs, 700) : Math.min(800 + 2 * rttMs, 2000))
}

/** How long a try has until it counts as failed. @param {Ladder} ladder @param {Try} one */
function unprovenAt({ rttMs }, { transport, failed, openedAt, helloAt }) {
  if (transport === 'ws' && !failed) return Math.max(openedAt + Math.max(1500, 4 * rttMs), 2 * helloAt - openedAt)
  return transport === 'sse' && !failed && helloAt ? helloAt + PROBE_MOST_MS : openedAt + LATE_MS
}

/** @param {Ladder} ladder @param {Try} one */
function carry(ladder, one) {
  const { carrier: before, learned, now } = ladder
  const { id, transport, why } = one
  const place = rank(ladder, transport)
  ladder.carrier = one
  ladder.steps.push({ do: 'carry', id, why })
  if (before?.suspect && before.suspect !== 'sleep' && before.transport !== transport) lower(learned, before.transport, now, now - before.openedAt)
  // What failed, or had its time, while this one got through is down, until it comes after all; what failed with all the others is not.
  for (const other of ladder.tries.values()) if (!other.provenAt) ladder.failed.add(other.transport)
  for (const other of ladder.failed) if (rank(ladder, other) < place) lower(learned, other, now)
  ladder.failed.clear()
  if (ladder.last && ladder.last !== transport && why !== 'asked') {
    ladder.changes = [now, ...ladder.changes].filter((at) => at > now - CHANGES_MS)
    if (ladder.changes.length >= CHANGES_MOST) ladder.calmUntil = now + CALM_MS
  }
  upward(ladder, transport)
  risen(learned, transport, now)
  learned.best = ladder.last = transport
  learned.bestAt = now
  if (ladder.network) ladder.memory[ladder.network] = learned
  ladder.failures = ladder.strangers = 0
  ladder.hasChecked = false
  ladder.retryAt = ladder.checkAt = Infinity
  ladder.round = []
  // What could still do better may go on until it is late; all else has lost.
  for (const other of ladder.tries.values()) if (other !== one && (other === before || rank(ladder, other.transport) >= place)) close(ladder, other)
  to(ladder, 'connected', why)
  ladder.steps.push({ do: 'keep' })
}

/** Plans the way back up, to what is preferred or was asked for. @param {Ladder} ladder @param {Transport} transport that carries */
function upward(ladder, transport) {
  if (transport === (ladder.fixed ?? ladder.transports[0])) {
    ladder.ups = 0
    ladder.upAt = Infinity
  } else if (ladder.upAt === Infinity) ladder.upAt = ladder.now + UP_MS[0]
}

/** @type {See} */
function ended(ladder, { why = '', afterMs, planned, foreign }, one) {
  const { transport, openedAt } = one
  const because = `${transport}:${why}`
  ladder.tries.delete(one.id)
  const left = one.provenAt && !planned && !ladder.isOffline && one.suspect !== 'sleep' && outlived(ladder, one)
  if (one !== ladder.carrier) return fail(ladder, one, why, afterMs, foreign)
  // A chain of polls that was answered more than once is as steady as a poll can be.
  if (planned || ladder.now >= openedAt + STEADY_MS || (transport === 'poll' && one.frameAt > one.provenAt)) ladder.cuts = 0
  lose(ladder, because)
  if (foreign) return stranger(ladder)
  if (ladder.round.length || [...ladder.tries.values()].some((other) => !other.failed)) return
  begin(ladder, left || ladder.fixed ? order(ladder) : firstOf(transport, order(ladder)), because)
  ladder.nextAt += afterMs ?? (left || ladder.cuts++ < CUTS_FREE ? 0 : backoff(ladder, ladder.cuts - CUTS_FREE))
}

/** Takes down how long it lived. @param {Ladder} ladder @param {Try} one @returns {boolean} whether it is to be left */
function outlived({ lives, learned, now }, { transport, openedAt, frameAt, gap, provenAt }) {
  const life = { age: now - openedAt, idle: now - frameAt, gap, proven: now - provenAt }
  const left = learn(learned, transport, (lives[transport] = [life, ...(lives[transport] ?? [])].slice(0, 3)))
  if (left) lower(learned, transport, now, life.age)
  return left
}

/** A try that did not get to carry. @param {Ladder} ladder @param {Try} one @param {string} why @param {number} [afterMs] @param {boolean} [foreign] */
function fail(ladder, one, why, afterMs, foreign) {
  const { now } = ladder
  const { transport } = one
  if (one.failed) return
  one.failed = true
  ladder.failed.add(transport)
  ladder.nextAt = Math.min(ladder.nextAt, now)
  ladder.steps.push({ do: 'failed', id: one.id, why })
  if (ladder.carrier) {
    if (rank(ladder, transport) < rank(ladder, ladder.carrier.transport)) lower(ladder.learned, transport, now)
    return
  }
  ladder.roundWhy = `${transport}:${why}`
  // Some gateway may spoil one transport only; it is a stranger where nothing else is left to try.
  if (foreign && (ladder.last || !ladder.round.length)) stranger(ladder)
  else if (afterMs) {
    begin(ladder, [])
    ladder.retryAt = now + afterMs * (1 + ladder.random() / 4)
  } else if (transport === ladder.last && !ladder.hasChecked && why !== 'unproven') {
    // A hub that is away for a moment refuses all transports: no reason to change the transport.
    ladder.hasChecked = true
    ladder.steps.push({ do: 'check' })
    ladder.nextAt = now + CHECK_MOST_MS
  }
}

/** Not the hub answers here. @param {Ladder} ladder */
function stranger(ladder) {
  begin(ladder, [])
  to(ladder, 'captive', ladder.roundWhy)
  ladder.checkAt = ladder.now + Math.min(CAPTIVE_MOST_MS, CAPTIVE_FIRST_MS * 2 ** ladder.strangers++) * (0.5 + ladder.random() / 2)
}

/** What the look for the hub found. @type {See} */
function checked(ladder, { ok, foreign }) {
  const { last, failed, state } = ladder
  if (ladder.carrier) return
  if (!ok) {
    if (foreign || state === 'captive') return stranger(ladder)
    begin(ladder, [])
    ladder.hasChecked = false
    ladder.retryAt = ladder.now + backoff(ladder, ladder.failures++)
    return
  }
  // Only a first look that finds the hub says that the stranger sits on that one transport.
  if (ladder.strangers > 1) failed.clear()
  ladder.hasChecked = true
  const rest = order(ladder).sort((one, other) => Number(failed.has(one)) - Number(failed.has(other)))
  begin(ladder, last && state !== 'captive' ? firstOf(last, rest) : rest)
}

/** The carrier may be dead or held: others are tried beside it. @param {Ladder} ladder @param {Try} one @param {string} why */
function suspect(ladder, one, why) {
  const { transport } = one
  if (one !== ladder.carrier || one.suspect) return
  one.suspect = why
  if (why === 'silent') outlived(ladder, one)
  const [, ...others] = firstOf(transport, order(ladder))
  // Gateways forget idle sockets in silence: once, the same transport anew is worth a try.
  const same = !others.length || why === 'sleep' || (why === 'silent' && transport === 'ws' && !ladder.silences++)
  begin(ladder, same ? [transport, ...others] : others, `${transport}:${why}`, true)
}

/** Full jitter, in ms. @param {Ladder} ladder @param {number} failures in a row */
function backoff({ isOffline, random }, failures) {
  const mostMs = Math.min(BACKOFF_MOST_MS, 2 * BACKOFF_FIRST_MS * 2 ** failures)
  return isOffline ? CAPTIVE_MOST_MS : BACKOFF_FIRST_MS + random() * (mostMs - BACKOFF_FIRST_MS)
}

/** Does one thing that is due, or finds when the next one is. @param {Ladder} ladder @returns {boolean | void} whether something was done */
function settle(ladder) {
  const { carrier, tries, now } = ladder
  ladder.wakeAt = Infinity
  const due = (/** @type {number} */ at) => now >= at || ((ladder.wakeAt = Math.min(ladder.wakeAt, at)), false)
  for (const one of tries.values()) if (one !== carrier && settleTry(ladder, one, due)) return true
  if (ladder.round.length) return due(ladder.nextAt) && (open(ladder), true)
  if (carrier) return settleCarrier(ladder, carrier, due)
  if (ladder.checkAt < Infinity) {
    if (!due(ladder.checkAt)) return
    // A gateway may let through all but the address that is looked at: now and then a try tells.
    if (ladder.strangers % 4) {
      ladder.checkAt += CHECK_MOST_MS
      ladder.steps.push({ do: 'check' })
    } else begin(ladder, ladder.transports.slice(-1))
  } else if (ladder.retryAt < Infinity) {
    if (!due(ladder.retryAt)) return
    begin(ladder, order(ladder))
  } else {
    if (ladder.paused || [...tries.values()].some((one) => !one.failed)) return
    ladder.retryAt = now + backoff(ladder, ladder.failures++)
    to(ladder, ladder.isOffline ? 'offline' : ladder.last ? 'reconnecting' : 'connecting', ladder.roundWhy)
  }
  return true
}

/** @param {Ladder} ladder @param {Try} one @param {(at: number) => boolean} due */
function settleTry(ladder, one, due) {
  const { carrier, learned, now } = ladder
  const kept = carrier && !carrier.suspect && !one.replaces
  if (!one.provenAt) {
    if (!due(unprovenAt(ladder, one))) return
    if (now >= one.openedAt + LATE_MS) close(ladder, one)
    fail(ladder, one, 'unproven')
  } else if (kept && rank(ladder, one.transport) >= rank(ladder, carrier.transport)) close(ladder, one)
  else if (kept && silent(ladder, one)) {
    close(ladder, one)
    fail(ladder, one, 'silent')
  } else if (kept ? due(one.provenAt + (learned.trial[one.transport] ?? 0)) : due(rivalUntil(ladder, one))) carry(ladder, one)
  else return
  return true
}

/** A better one is under way without a failure: a far network is no reason to leave it. @param {Ladder} ladder @param {Try} one */
function rivalUntil(ladder, { transport, replaces }) {
  const { carrier, tries, rttMs } = ladder
  const rivals = [...tries.values()].filter((other) => !other.failed && !other.provenAt && rank(ladder, other.transport) < rank(ladder, transport))
  // Its proof may take as long again as its hello took.
  const until = rivals.map(({ helloAt, openedAt }) => (helloAt ? 2 * helloAt - openedAt : openedAt + Math.min(4 * rttMs, RIVAL_MOST_MS)))
  return replaces || carrier ? 0 : Math.max(0, ...until)
}

/** @param {Ladder} ladder @param {Try} carrier @param {(at: number) => boolean} due */
function settleCarrier(ladder, carrier, due) {
  const { learned, transports, tries, now, fixed } = ladder
  const { transport, frameAt, silentMs, openedAt, helloAt } = carrier
  const alone = tries.size < 2
  if (carrier.suspect) {
    if (!alone) return
    // Nothing else got through: a suspect that speaks is kept, a silent one is dead.
    carrier.suspect = ''
    carrier.slow = 0
    if (silent(ladder, carrier)) lose(ladder, transport + ':silent')
  } else if (due(frameAt + silentMs)) suspect(ladder, carrier, 'silent')
  else if (transport === 'sse' && !carrier.fromTime && due(helloAt + PROBE_MOST_MS)) suspect(ladder, carrier, 'held')
  else if (!alone) return
  else if (!carrier.renewed && due(openedAt + 0.8 * (learned.age[transport] ?? Infinity))) {
    carrier.renewed = true
    begin(ladder, [transport], 'age', true)
  } else if (!ladder.hiddenAt && due(Math.max(ladder.upAt, ladder.calmUntil))) {
    ladder.upAt = now + UP_MS[Math.min(++ladder.ups, UP_MS.length - 1)]
    begin(ladder, fixed ? [fixed] : transports.slice(0, rank(ladder, transport)), 'up', !!fixed)
  } else return
  return true
}
