/** Slow but clean paths, on which nothing may be given up, and one on which no heartbeat is fast enough. */
import { pass } from '../journey.js'

/** @typedef {import('../journey.js').World} World */

const noWs = { ws: { refuse: /** @type {const} */ (403) } }
const FAR = { delayMs: 400, jitter: 0.2 }
/**
 * Time limit of a first connect over WS (round trips of TCP, Upgrade and hello's ping) at the highest jitter, in
 * ms.
 */
const FAR_MS = 200 + 3 * 800 * 1.2
/** Connects per call, since no call into a page may take longer than five minutes. */
const CALL = 10
const AT_ONCE = 5
/** Long enough for another transport to be tried as well, in ms. */
const SETTLE_MS = 2000

/** @param {number} count @returns {(world: World) => Promise<void>} */
const connects = (count) => async (world) => {
  // A browser opens one WebSocket per server at a time (RFC 6455, 4.1).
  const atOnce = world.engine.name === 'node' ? AT_ONCE : 1
  world.others = []
  for (let done = 0; done < count; done += CALL) world.others.push(...(await world.call('connects', CALL, atOnce, SETTLE_MS)).filter((/** @type {string} */ ways) => ways !== 'ws'))
}

/** @param {any} measured */
const noneFalse = ({ others }) => [others?.length && `${others.length} false fallbacks: ${others.slice(0, 5)}`]

/** The fastest heartbeat is a second. */
const IDLE_MS = 800
/** WS and SSE may each be tried again once in 20 s, and are cut. */
const UP_CUTS_MOST = 2

/** @type {import('../paths.js').Path[]} */
export const farPaths = [
  ...[20, 100].map((count) => ({
    name: `clear, 800 ms round trip with 20 % jitter, ${count} connects`,
    bound: '0 false fallbacks',
    rules: FAR,
    everyMs: 200,
    story: connects(count),
    fast: count === 20,
    bounds: { usableMs: FAR_MS, transport: 'ws', more: noneFalse },
  })),
  {
    name: 'clear, 800 ms round trip with 20 % jitter, staying',
    bound: 'WS ≤ 0.2 s + 3 round trips, and nothing else',
    rules: FAR,
    story: () => pass(15_000),
    inBrowsers: true,
    bounds: { usableMs: FAR_MS, transport: 'ws', more: ({ ways }) => [ways.some((/** @type {any} */ { to }) => to !== 'ws') && `carried by ${ways.map((/** @type {any} */ { to }) => to)}`] },
  },
  {
    name: '800 ms round trip with 20 % jitter, Upgrade refused',
    bound: 'SSE, and nothing else',
    rules: { ...FAR, ...noWs },
    story: () => pass(20_000),
    fast: true,
    bounds: { transport: 'sse', more: ({ ways }) => [ways.some((/** @type {any} */ { to }) => to !== 'sse') && `carried by ${ways.map((/** @type {any} */ { to }) => to)}`] },
  },
  {
    name: 'everything cut by 0.8 s idle',
    bound: 'short polls after the cuts are recognized; then no event over 3 s, and at most one cut for each attempt of WS or SSE',
    rules: { all: { idleMs: IDLE_MS } },
    everyMs: 3000,
    sayEveryMs: 0,
    async story(world) {
      world.judgedFrom = Infinity
      await pass(30_000)
      world.judgedFrom = Date.now()
      const { cuts } = world.box
      await pass(20_000)
      world.cutsAfter = world.box.cuts - cuts
    },
    bounds: { usableMs: 1000, transport: 'poll', worstMs: 3000, more: ({ cutsAfter }) => [cutsAfter > UP_CUTS_MOST && `cut ${cutsAfter} times after it was known`] },
  },
]
