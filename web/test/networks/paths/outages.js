/** Networks that go silent, cut everything repeatedly, or let nothing through for a while. */
import { pass } from '../journey.js'

/** @typedef {import('../journey.js').World} World @typedef {import('../../support/middlebox.js').Rules} Rules */

const HEARTBEAT = ['--heartbeat', '2s']
const noWs = { ws: { refuse: 403 } }
const onlyPolls = { ws: { refuse: 403 }, sse: { refuse: 403 } }
/** The hold of a poll and the time for its response, in ms. */
const POLL_SILENT_MS = 32_000

/** @type {[string, Rules, number][]} */
const carriers = [['WS', {}, 5000], ['SSE', noWs, 5000], ['LP', onlyPolls, POLL_SILENT_MS]]

/** @param {number} everyMs @param {number} forMs @returns {(world: World) => Promise<void>} */
const cutAll = (everyMs, forMs) => async ({ box }) => {
  for (let ms = 0; ms < forMs; ms += everyMs) {
    await pass(everyMs)
    box.cut()
  }
  await pass(2000)
}

/** @type {import('../paths.js').Path[]} */
export const silentPaths = [
  ...carriers.map(([name, rules, worstMs]) => ({
    name: `what is open goes silent after 3 s, on ${name}`,
    bound: name === 'LP' ? 'no event later than the hold and 5 s' : 'no event later than 2 heartbeats (2 s each)',
    rules,
    flags: HEARTBEAT,
    everyMs: 500,
    sayEveryMs: 0,
    async story({ box }) {
      await pass(3000)
      box.deaden()
      await pass(worstMs + 2000)
    },
    bounds: { usableMs: 1000, worstMs },
  })),
  {
    name: 'WS refused, the stream held from 4 KiB on',
    bound: 'left after ≤ 2 heartbeats (2 s each)',
    rules: { ...noWs, sse: { hold: 'body', holdAfterBytes: 4096 } },
    flags: HEARTBEAT,
    everyMs: 200,
    story: () => pass(9000),
    bounds: { usableMs: 1000, transport: 'poll', worstMs: 4500 },
  },
  ...[1500, 4000].map((everyMs) => ({
    name: `all cut every ${everyMs / 1000} s`,
    bound: 'no event over 1.5 s',
    story: cutAll(everyMs, 20_000),
    bounds: { usableMs: 1000, worstMs: 1500 },
  })),
  ...[/** @type {const} */ ('reset'), 403].map((refuse) => ({
    name: `1 request in 10 refused (${refuse}), WS and SSE always`,
    bound: 'exactly once, no event over 3 s',
    rules: { ...onlyPolls, poll: { refuse, refuseNth: 10 }, post: { refuse, refuseNth: 10 } },
    story: () => pass(8000),
    bounds: { usableMs: 1000, transport: 'poll', worstMs: 3000 },
  })),
]

/**
 * Requests that are allowed at once: one per transport. In mid-session, the old transport and the check for the hub
 * precede them.
 */
const FIRST_ROUND = 3
const FIRST_AGAIN = 2
/**
 * After the first round, so many requests within this time are too many: one per second is allowed, with jitter.
 */
const CROWD = 4
const CROWD_MS = 3000
/** The pause is at most 20 s, and the check after a foreign response at most 30 s. Both in ms, with some room. */
const BACK_MS = 21_000
const STRANGER_BACK_MS = 31_000

/** @param {number} mostMs @param {number} first @returns {import('../judge.js').Bounds['more']} */
const sparing = (mostMs, first) => ({ marks, asked }) => {
  const during = asked.filter((/** @type {[number]} */ [at]) => at >= marks.closed && at < marks.lifted)
  const later = during.slice(first)
  const crowded = later.filter((/** @type {[number]} */ [at], /** @type {number} */ index) => later[index + CROWD - 1]?.[0] - at < CROWD_MS)
  const seconds = (marks.lifted - marks.closed) / 1000
  return [
    during.length > first + 1 + seconds && `${during.length} requests in ${seconds} s: ${JSON.stringify(during)}`,
    crowded.length > 0 && `${CROWD} requests in less than ${CROWD_MS} ms after the first round: ${JSON.stringify(during)}`,
    !(marks.back - marks.lifted <= mostMs) && `back after ${marks.back - marks.lifted} ms, allowed are ${mostMs}`,
  ]
}

/** @param {World} world */
async function lift(world) {
  world.mark('lifted')
  world.box.set({})
  world.judgedFrom = Infinity
  await world.isConnected(STRANGER_BACK_MS + 5000)
  world.mark('back')
  world.judgedFrom = Date.now()
}

const BOUND = '≤ 1 request per second'
/** @param {number} ms */
const boundOf = (ms) => `${BOUND}, back ≤ ${Math.floor(ms / 1000) - 1} s`

/** @param {string} name @param {import('../../support/middlebox.js').Rule} rule @param {number} mostMs @returns {import('../paths.js').Path[]} */
const nothing = (name, rule, mostMs, forMs = 12_000, rules = /** @type {Rules} */ ({ all: rule })) => [
  {
    name: `nothing gets through at the start: ${name}`,
    bound: boundOf(mostMs),
    rules,
    async fromStart(world) {
      world.mark('closed')
      await pass(forMs)
      await lift(world)
    },
    bounds: { more: sparing(mostMs, FIRST_ROUND) },
  },
  {
    name: `nothing gets through in mid-session: ${name}`,
    bound: boundOf(mostMs),
    async story(world) {
      await pass(1000)
      await world.call('speak', 0)
      world.mark('closed')
      world.box.set(rules)
      world.box.cut()
      await pass(forMs)
      await lift(world)
      await pass(1000)
    },
    bounds: { usableMs: 1000, more: sparing(mostMs, FIRST_ROUND + FIRST_AGAIN) },
  },
]

/** @type {import('../paths.js').Path[]} */
export const outagePaths = [
  ...nothing('502 for 5 s', { refuse: 502 }, 7000, 5000),
  ...nothing('reset', { refuse: 'reset' }, BACK_MS),
  ...nothing('swallowed', { swallow: true }, BACK_MS),
  ...nothing('503, Retry-After 3', { refuse: 503, retryAfter: 3 }, 6000, 7000),
  ...nothing('401 of a gateway', { refuse: 401 }, STRANGER_BACK_MS),
  // The check finds the hub each time.
  ...nothing('all transports reset, all else free', { refuse: 'reset' }, BACK_MS, 12_000, { ws: { refuse: 'reset' }, sse: { refuse: 'reset' }, poll: { refuse: 'reset' } }),
]
