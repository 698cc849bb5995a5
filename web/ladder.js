/**
 * The ladder: what was seen, and when, decides what to try, and when.
 * Pure: the clock and randomness are arguments; knows no socket, no frame's content, no handle.
 * A *try* is one attach of one transport. The *carrier* is the proven try that carries the session.
 * A *round* is a list of transports to be tried, each beside the one before it. Facts go in by
 * `see`, steps come out; `wakeAt` says when to ask again if nothing happens.
 */
import { learn, lower, nothingLearned, ranked } from './cuts.js'

/** @typedef {import('./cuts.js').Transport} Transport @typedef {import('./cuts.js').Learned} Learned */

/** The round-trip time to assume until one was measured, in ms: a slow mobile network. */
const RTT_ASSUMED_MS = 300
/** A try that is not proven by then, in ms, is closed; until then a better transport is still welcome. */
const LATE_MS = 10_000
/** The lone ping of `probe=1` must come before this, in ms after hello: it is sent after 150 ms, and 1.2 s of silence follow. */
const PROBE_MOST_MS = 1100
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
const WAIT_MS = 25_000

/**
 * @typedef {object} Try
 * @property {number} id
 * @property {Transport} transport
 * @property {string} why
 * @property {number} openedAt
 * @property {number} frameAt when it was last heard
 * @property {number} gap longest silence so far, in ms
 * @property {number} silentMs after which it is suspect
 * @property {number} [helloAt]
 * @property {number} [provenAt]
 * @property {boolean} [failed] counted as failed, though a late proof is still welcome
 * @property {boolean} [replaces] takes over when proven, whatever the carrier is
 * @property {string} [suspect] why
 * @property {boolean} [renewed] its successor was planned
 * @property {number} beatMs
 * @property {number} [fromTime] the hub's time of its first ping: what is older was replayed
 * @property {number} skew least difference of clocks seen, in ms
 * @property {number} slow late events in a row
 *
 * @typedef {{do: 'open', id: number, transport: Transport, why: string, beat?: number, wait?: number, early?: number}
 *   | {do: 'close', id: number} | {do: 'carry', id: number, why: string}
 *   | {do: 'state', state: string, why: string} | {do: 'check'} | {do: 'keep'}} Step
 *
 * @typedef {object} Fact
 * @property {number} [id] of the try
 * @property {string} [why]
 * @property {number} [ms]
 * @property {Transport | 'auto'} [transport]
 * @property {number} [beat] seconds
 * @property {string} [network]
 * @property {string} [build]
 * @property {boolean} [ping]
 * @property {number} [time] the hub's
 * @property {number} [afterMs] not before, by the hub's word
 * @property {boolean} [planned] not the way's fault
 * @property {boolean} [foreign] not the hub answered
 * @property {boolean} [ok]
 *
 * @typedef {ReturnType<typeof newLadder>} Ladder
 */

/**
 * @param {Transport[]} transports the order is the preference
 * @param {() => number} random
 * @param {Record<string, any>} [memory] as an earlier ladder left it
 * @param {string} [link] what the platform says of the network, before the hub names it
 */
export const newLadder = (transports, random, memory = {}, link = '') => ({
  transports,
  random,
  memory,
  link,
  network: /** @type {string | undefined} */ (memory['?' + link]),
  learned: /** @type {Learned} */ (memory[memory['?' + link]] ?? nothingLearned()),
  /** @type {Map<number, Try>} */
  tries: new Map(),
  /** @type {Try | undefined} */
  carrier: undefined,
  /** @type {Transport | undefined} */
  fixed: undefined,
  /** The last that carried. @type {Transport | undefined} */
  last: undefined,
  /** @type {Transport[]} */
  round: [],
  roundWhy: '',
  replaces: false,
  nextAt: 0,
  /** Failed since something carried. @type {Set<Transport>} */
  failed: new Set(),
  /** Lives of carriers that were cut, newest first. @type {Partial<Record<Transport, import('./cuts.js').Life[]>>} */
  lives: {},
  /** @type {number[]} */
  changes: [],
  calmUntil: 0,
  retryAt: Infinity,
  checkAt: Infinity,
  hasChecked: false,
  upAt: Infinity,
  ups: 0,
  hiddenAt: 0,
  isOffline: false,
  paused: false,
  /** Rounds in a row in which all tries failed. */
  failures: 0,
  /** Carriers in a row that were cut soon. */
  cuts: 0,
  strangers: 0,
  silences: 0,
  rttMs: RTT_ASSUMED_MS,
  state: 'connecting',
  build: /** @type {string | undefined} */ (undefined),
  lastId: 0,
  wakeAt: Infinity,
  /** @type {Step[]} */
  steps: [],
})

/**
 * @param {Ladder} ladder
 * @param {number} now in ms
 * @param {keyof typeof facts} type
 * @param {Fact} [fact]
 * @returns {Step[]}
 */
export function see(ladder, now, type, fact = {}) {
  ladder.steps = []
  const { carrier } = ladder
  // Timers do not run in a sleeping page, and what is heard after it may be an echo.
  if (carrier && now > ladder.wakeAt + SLEEP_MS && silent(carrier, now)) suspect(ladder, now, carrier, 'sleep')
  facts[type](ladder, now, fact, /** @type {Try} */ (ladder.tries.get(fact.id ?? 0)))
  // What is due may make more due, or bring the next moment nearer: until nothing is.
  while (settle(ladder, now));
  return ladder.steps
}

const facts = {
  /** @param {Ladder} ladder @param {number} now */
  start: (ladder, now) => begin(ladder, now, order(ladder, now), 'start'),
  tick() {},
  /** @param {Ladder} ladder @param {number} now @param {Fact} fact */
  rtt: (ladder, now, { ms = 0 }) => (ladder.rttMs = ms),
  /** By hand. @param {Ladder} ladder @param {number} now @param {Fact} fact */
  use(ladder, now, { transport }) {
    ladder.fixed = transport === 'auto' ? undefined : transport
    const wanted = ladder.fixed ? [ladder.fixed] : ladder.transports
    begin(ladder, now, ladder.carrier?.transport === wanted[0] ? [] : wanted, 'asked', true)
  },
  /** Another list of channels: the same transport, attached anew beside the old one. @param {Ladder} ladder @param {number} now */
  reopen(ladder, now) {
    if (ladder.carrier) begin(ladder, now, [ladder.carrier.transport], 'channels', true)
  },
  /** @param {Ladder} ladder @param {number} now @param {Fact} fact @param {Try} one */
  hello(ladder, now, { beat, network, build }, one) {
    if (!one) return
    one.helloAt = one.frameAt = now
    if (beat) one.beatMs = beat * 1000
    if (one.transport !== 'poll') one.silentMs = SILENT_BEATS * one.beatMs
    if (network && network !== ladder.network) {
      const known = ladder.memory[network]
      // The first name of a network is that of what was learned so far.
      if (known || ladder.network) ladder.learned = known ?? nothingLearned()
      if (ladder.network) ladder.upAt = now
      ladder.memory['?' + ladder.link] = ladder.network = network
      ladder.memory[network] = ladder.learned
    }
    if (ladder.build && build !== ladder.build) ladder.upAt = now
    ladder.build = build
  },
  /** Anything came. @param {Ladder} ladder @param {number} now @param {Fact} fact @param {Try} one */
  frame(ladder, now, { ping, time }, one) {
    if (!one) return
    one.gap = Math.max(one.gap, now - one.frameAt)
    one.frameAt = now
    if (one.suspect === 'silent') {
      one.suspect = undefined
      begin(ladder, now, [])
    }
    if (ping && one.transport === 'sse' && !one.provenAt && now - (one.helloAt ?? 0) < PROBE_MOST_MS) one.provenAt = now
    if (ping) one.fromTime ??= time
    if (!time || !one.fromTime || time < one.fromTime) return
    one.skew = Math.min(one.skew, now - time)
    const lateMs = now - time - one.skew
    one.slow = lateMs > Math.max(1000, 4 * ladder.rttMs) ? one.slow + 1 : 0
    if (one.slow >= SLOW_MOST || (ping && lateMs > one.beatMs / 2)) suspect(ladder, now, one, 'slow')
  },
  /** The hub answered what only it can, to us. @param {Ladder} ladder @param {number} now @param {Fact} fact @param {Try} one */
  proof(ladder, now, fact, one) {
    if (one) one.provenAt ??= one.frameAt = now
  },
  /** A command went unanswered. @param {Ladder} ladder @param {number} now */
  mute: (ladder, now) => ladder.carrier && suspect(ladder, now, ladder.carrier, 'mute'),
  ended,
  checked,
  /** @param {Ladder} ladder */
  offline: (ladder) => (ladder.isOffline = true),
  /** @param {Ladder} ladder @param {number} now */
  online(ladder, now) {
    ladder.isOffline = false
    ladder.upAt = Math.min(ladder.upAt, now)
    // Its socket may belong to the network that was left.
    if (ladder.carrier) suspect(ladder, now, ladder.carrier, 'sleep')
    else if (ladder.checkAt < Infinity) ladder.checkAt = now
    else begin(ladder, now, order(ladder, now), 'online')
  },
  /** @param {Ladder} ladder @param {number} now */
  hidden: (ladder, now) => (ladder.hiddenAt = now),
  /** @param {Ladder} ladder @param {number} now */
  visible(ladder, now) {
    if (ladder.hiddenAt && now > ladder.hiddenAt + HIDDEN_LONG_MS && ladder.upAt < Infinity) ladder.upAt = now
    ladder.hiddenAt = 0
  },
  /** The page goes into the cache of pages, or for good. @param {Ladder} ladder @param {number} now */
  pause(ladder, now) {
    begin(ladder, now, [])
    if (ladder.carrier) close(ladder, ladder.carrier)
    ladder.carrier = undefined
    ladder.paused = true
    to(ladder, 'reconnecting', 'pagehide')
  },
  /** Publishes find no way: on WS they would. @param {Ladder} ladder @param {number} now */
  blocked: (ladder, now) => (ladder.upAt = Math.min(ladder.upAt, now)),
}

/** @param {Ladder} ladder @param {number} now */
function order(ladder, now) {
  if (ladder.fixed) return [ladder.fixed]
  const transports = ranked(ladder.transports, ladder.learned, now)
  return now < ladder.calmUntil ? transports.sort((one, other) => ladder.transports.indexOf(other) - ladder.transports.indexOf(one)) : transports
}

/** @param {Ladder} ladder @param {Try} one @param {Try} other */
const better = ({ transports }, one, other) => transports.indexOf(one.transport) < transports.indexOf(other.transport)

/** @param {Try} one @param {number} now */
const silent = (one, now) => now >= one.frameAt + one.silentMs

/** @param {Ladder} ladder @param {string} state @param {string} why */
function to(ladder, state, why) {
  if (state === ladder.state) return
  ladder.state = state
  ladder.steps.push({ do: 'state', state, why })
}

/** @param {Ladder} ladder @param {Try} one */
function close(ladder, one) {
  ladder.tries.delete(one.id)
  ladder.steps.push({ do: 'close', id: one.id })
}

/** A new round instead of what was under way. @param {Ladder} ladder @param {number} now @param {Transport[]} transports @param {string} [why] */
function begin(ladder, now, transports, why = '', replaces = false) {
  for (const one of ladder.tries.values()) if (one !== ladder.carrier) close(ladder, one)
  ladder.round = [...transports]
  ladder.roundWhy = why
  ladder.replaces = replaces
  ladder.nextAt = now
  ladder.retryAt = ladder.checkAt = Infinity
  ladder.paused = false
}

/** @param {Ladder} ladder @param {number} now */
function open(ladder, now) {
  const transport = /** @type {Transport} */ (ladder.round.shift())
  const { learned, rttMs, replaces, roundWhy: why } = ladder
  const id = ++ladder.lastId
  const beat = learned.beat[transport]
  const wait = transport === 'poll' ? learned.wait : undefined
  const early = transport === 'poll' ? learned.early : undefined
  const beatMs = beat ? beat * 1000 : BEAT_MS
  const silentMs = transport === 'poll' ? (wait ? wait * 1000 : WAIT_MS) + Math.max(5000, 4 * rttMs) : SILENT_BEATS * beatMs
  ladder.tries.set(id, { id, transport, why, replaces, openedAt: now, frameAt: now, gap: 0, silentMs, beatMs, skew: Infinity, slow: 0 })
  ladder.steps.push({ do: 'open', id, transport, why, beat, wait, early })
  ladder.nextAt = now + (transport === 'ws' ? Math.min(250 + 2 * rttMs, 700) : Math.min(800 + 2 * rttMs, 2000))
}

/** How long a try has until it counts as failed. @param {Ladder} ladder @param {Try} one */
function unprovenAt({ rttMs }, one) {
  if (one.failed || one.transport === 'poll') return one.openedAt + LATE_MS
  if (one.transport === 'ws') return one.openedAt + Math.max(1500, 4 * rttMs)
  return one.helloAt ? one.helloAt + PROBE_MOST_MS : one.openedAt + LATE_MS
}

/** @param {Ladder} ladder @param {number} now @param {Try} one */
function carry(ladder, now, one) {
  const { carrier: before, learned, transports } = ladder
  ladder.carrier = one
  ladder.steps.push({ do: 'carry', id: one.id, why: one.why })
  if (before?.suspect && before.suspect !== 'sleep' && before.transport !== one.transport) lower(learned, before.transport, now, now - before.openedAt)
  // What failed while this one got through is down; what failed with all the others is not.
  for (const transport of ladder.failed) if (transports.indexOf(transport) < transports.indexOf(one.transport)) lower(learned, transport, now)
  ladder.failed.clear()
  if (ladder.last && ladder.last !== one.transport && one.why !== 'asked') {
    ladder.changes = [now, ...ladder.changes].filter((at) => at > now - CHANGES_MS)
    if (ladder.changes.length >= CHANGES_MOST) ladder.calmUntil = now + CALM_MS
  }
  if (one.transport === transports[0] || ladder.fixed) {
    ladder.ups = 0
    ladder.upAt = Infinity
  } else if (ladder.upAt === Infinity) ladder.upAt = now + UP_MS[0]
  const down = learned.down[one.transport]
  if (down) down.until = 0
  learned.best = ladder.last = one.transport
  learned.bestAt = now
  ladder.failures = ladder.strangers = 0
  ladder.hasChecked = false
  ladder.retryAt = ladder.checkAt = Infinity
  ladder.round = []
  // What could still do better may go on until it is late; all else has lost.
  for (const other of ladder.tries.values()) if (other !== one && (other === before || !better(ladder, other, one))) close(ladder, other)
  to(ladder, 'connected', one.why)
  ladder.steps.push({ do: 'keep' })
}

/** @param {Ladder} ladder @param {number} now @param {Fact} fact @param {Try} one */
function ended(ladder, now, { why = '', afterMs, planned, foreign }, one) {
  if (!one) return
  const { transport } = one
  ladder.tries.delete(one.id)
  let left = false
  if (one.provenAt && !planned && !ladder.isOffline && one.suspect !== 'sleep') left = outlived(ladder, now, one)
  if (one !== ladder.carrier) return fail(ladder, now, one, why, afterMs, foreign)
  ladder.carrier = undefined
  if (planned || now - one.openedAt >= STEADY_MS) ladder.cuts = 0
  to(ladder, ladder.isOffline ? 'offline' : 'reconnecting', `${transport}:${why}`)
  if (foreign) return stranger(ladder, now)
  if (ladder.round.length || [...ladder.tries.values()].some((other) => !other.failed)) return
  const rest = order(ladder, now)
  begin(ladder, now, left || ladder.fixed ? rest : [transport, ...rest.filter((other) => other !== transport)], `${transport}:${why}`)
  ladder.nextAt = now + (afterMs ?? (left || ladder.cuts++ < CUTS_FREE ? 0 : backoff(ladder, ladder.cuts - CUTS_FREE)))
}

/** Takes down how long it lived. @param {Ladder} ladder @param {number} now @param {Try} one @returns {boolean} whether it is to be left */
function outlived({ lives, learned }, now, { transport, openedAt, frameAt, gap, provenAt = now }) {
  const life = { age: now - openedAt, idle: now - frameAt, gap, proven: now - provenAt }
  const left = learn(learned, transport, (lives[transport] = [life, ...(lives[transport] ?? [])].slice(0, 3)))
  if (left) lower(learned, transport, now, life.age)
  return left
}

/** A try that did not get to carry. @param {Ladder} ladder @param {number} now @param {Try} one @param {string} why @param {number} [afterMs] @param {boolean} [foreign] */
function fail(ladder, now, one, why, afterMs, foreign) {
  if (one.failed) return
  one.failed = true
  ladder.failed.add(one.transport)
  ladder.nextAt = Math.min(ladder.nextAt, now)
  if (ladder.carrier) return
  ladder.roundWhy = `${one.transport}:${why}`
  if (afterMs) {
    begin(ladder, now, [], ladder.roundWhy)
    ladder.retryAt = now + afterMs * (1 + ladder.random() / 4)
  } else if (foreign) stranger(ladder, now)
  else if (one.transport === ladder.last && !ladder.hasChecked && why !== 'unproven') {
    // A hub that is away for a moment refuses all transports: no reason to change the transport.
    ladder.hasChecked = true
    ladder.steps.push({ do: 'check' })
    ladder.nextAt = now + CHECK_MOST_MS
  }
}

/** Not the hub answers here. @param {Ladder} ladder @param {number} now */
function stranger(ladder, now) {
  begin(ladder, now, [], ladder.roundWhy)
  to(ladder, 'captive', ladder.roundWhy)
  const pauseMs = Math.min(CAPTIVE_MOST_MS, CAPTIVE_FIRST_MS * 2 ** ladder.strangers++)
  ladder.checkAt = now + pauseMs * (0.5 + ladder.random() / 2)
}

/** What the look for the hub found. @param {Ladder} ladder @param {number} now @param {Fact} fact */
function checked(ladder, now, { ok, foreign }) {
  if (ladder.carrier) return
  if (ok) {
    const { last, failed } = ladder
    // Only a first look that finds the hub says that the stranger sits on that one transport.
    if (ladder.strangers > 1) failed.clear()
    const rest = order(ladder, now).sort((one, other) => Number(failed.has(one)) - Number(failed.has(other)))
    const again = ladder.state !== 'captive' && last && rest.includes(last)
    ladder.hasChecked = true
    return begin(ladder, now, again ? [last, ...rest.filter((other) => other !== last)] : rest, ladder.roundWhy)
  }
  if (foreign || ladder.state === 'captive') return stranger(ladder, now)
  begin(ladder, now, [], ladder.roundWhy)
  ladder.hasChecked = false
  ladder.retryAt = now + backoff(ladder, ladder.failures++)
}

/** The carrier may be dead or held: others are tried beside it. @param {Ladder} ladder @param {number} now @param {Try} one @param {string} why */
function suspect(ladder, now, one, why) {
  if (one !== ladder.carrier || one.suspect) return
  one.suspect = why
  const { transport } = one
  const others = order(ladder, now).filter((other) => other !== transport)
  // Gateways forget idle sockets in silence: once, the same transport anew is worth a try.
  const same = !others.length || why === 'sleep' || (why === 'silent' && transport === 'ws' && !ladder.silences++)
  if (why === 'silent') outlived(ladder, now, one)
  begin(ladder, now, same ? [transport, ...others] : others, `${transport}:${why}`, true)
}

/** Nothing else got through: a suspect that speaks is kept, a silent one is dead. @param {Ladder} ladder @param {number} now @param {Try} one */
function forgive(ladder, now, one) {
  one.suspect = undefined
  one.slow = 0
  if (!silent(one, now)) return
  close(ladder, one)
  ladder.carrier = undefined
  to(ladder, ladder.isOffline ? 'offline' : 'reconnecting', `${one.transport}:silent`)
}

/** Full jitter, in ms. @param {Ladder} ladder @param {number} failures in a row */
function backoff(ladder, failures) {
  if (ladder.isOffline) return CAPTIVE_MOST_MS
  const mostMs = Math.min(BACKOFF_MOST_MS, 2 * BACKOFF_FIRST_MS * 2 ** failures)
  return BACKOFF_FIRST_MS + ladder.random() * (mostMs - BACKOFF_FIRST_MS)
}

/** Does one thing that is due, or finds when the next one is. @param {Ladder} ladder @param {number} now @returns {boolean} whether something was done */
function settle(ladder, now) {
  const { carrier, tries, learned, transports } = ladder
  ladder.wakeAt = Infinity
  const due = (/** @type {number} */ at) => now >= at || ((ladder.wakeAt = Math.min(ladder.wakeAt, at)), false)
  for (const one of tries.values()) {
    if (one === carrier) continue
    if (one.provenAt) {
      const kept = carrier && !carrier.suspect && !one.replaces
      if (kept && !better(ladder, one, carrier)) return close(ladder, one), true
      if (kept && silent(one, now)) return close(ladder, one), fail(ladder, now, one, 'silent'), true
      if (!kept || due(one.provenAt + (learned.trial[one.transport] ?? 0))) return carry(ladder, now, one), true
    } else if (due(unprovenAt(ladder, one))) {
      if (one.failed || one.transport === 'poll' || now >= one.openedAt + LATE_MS) close(ladder, one)
      return fail(ladder, now, one, 'unproven'), true
    }
  }
  if (ladder.round.length) {
    if (due(ladder.nextAt)) return open(ladder, now), true
  } else if (carrier) {
    const alone = tries.size === 1
    if (carrier.suspect && alone) return forgive(ladder, now, carrier), true
    if (!carrier.suspect && due(carrier.frameAt + carrier.silentMs)) return suspect(ladder, now, carrier, 'silent'), true
    const age = learned.age[carrier.transport]
    if (alone && age && !carrier.renewed && due(carrier.openedAt + 0.8 * age)) {
      carrier.renewed = true
      return begin(ladder, now, [carrier.transport], 'age', true), true
    }
    if (alone && !ladder.fixed && !ladder.hiddenAt && due(Math.max(ladder.upAt, ladder.calmUntil))) {
      ladder.upAt = now + UP_MS[Math.min(++ladder.ups, UP_MS.length - 1)]
      return begin(ladder, now, transports.slice(0, transports.indexOf(carrier.transport)), 'up'), true
    }
  } else if (ladder.checkAt < Infinity) {
    if (due(ladder.checkAt)) return (ladder.checkAt = now + CHECK_MOST_MS), ladder.steps.push({ do: 'check' }), true
  } else if (ladder.retryAt < Infinity) {
    if (due(ladder.retryAt)) return begin(ladder, now, order(ladder, now), ladder.roundWhy), true
  } else if (!ladder.paused && ![...tries.values()].some((one) => !one.failed)) {
    ladder.retryAt = now + backoff(ladder, ladder.failures++)
    to(ladder, ladder.isOffline ? 'offline' : ladder.last ? 'reconnecting' : 'connecting', ladder.roundWhy)
    return true
  }
  return false
}
