/** Clear paths, near and far. */
import { pass } from '../journey.js'

const CONNECTS = 100
/** The number of calls. No call into a page may take longer than five minutes. */
const CALLS = 4
/** Time limit of a first connect with loopback and a debug build, in ms. */
const NEAR_MS = 200
const FAR_RTT_MS = 600
/** Round trips of a first connect by WS: TCP, Upgrade, hello's ping. */
const FAR_ROUND_TRIPS = 3

/** Connects at the same time, so that a hundred do not take long. */
const AT_ONCE = 5

/** @param {number} settleMs @returns {(world: import('../journey.js').World) => Promise<void>} */
const hundred = (settleMs) => async (world) => {
  // A browser opens one WebSocket per server at a time (RFC 6455, 4.1), so the fifth of five would wait for four.
  const atOnce = world.engine.name === 'node' ? AT_ONCE : 1
  /** @type {string[]} */
  const carried = []
  for (let part = 0; part < CALLS; part++) carried.push(...(await world.call('connects', CONNECTS / CALLS, atOnce, settleMs)))
  world.others = carried.filter((/** @type {string} */ ways) => ways !== 'ws')
}
/** @param {any} measured */
const noneFalse = ({ others }) => [others?.length && `${others.length} false fallbacks in ${CONNECTS}: ${others.slice(0, 5)}`]

/** @type {import('../paths.js').Path[]} */
export const clearPaths = [
  { name: 'clear', bound: 'WS ≤ 0.2 s', fast: true, bounds: { usableMs: NEAR_MS, transport: 'ws', reason: /^start/ } },
  { name: 'clear, 100 connects', bound: '0 false fallbacks', fast: true, story: hundred(300), bounds: { transport: 'ws', more: noneFalse } },
  {
    name: 'clear, 600 ms round trip',
    bound: 'WS ≤ 0.2 s + 3 round trips',
    rules: { delayMs: FAR_RTT_MS / 2 },
    fast: true,
    story: () => pass(6000),
    bounds: { usableMs: NEAR_MS + FAR_ROUND_TRIPS * FAR_RTT_MS, transport: 'ws', more: ({ ways }) => [ways.some(({ to }) => to !== 'ws') && 'another transport carried meanwhile'] },
  },
  {
    name: 'clear, 600 ms round trip, 100 connects',
    bound: '0 false fallbacks',
    rules: { delayMs: FAR_RTT_MS / 2 },
    everyMs: 200,
    story: hundred(1500),
    bounds: { transport: 'ws', more: noneFalse },
  },
  { name: 'headers lost (Authorization, Last-Event-ID, unknown)', bound: 'WS ≤ 0.2 s', rules: { all: { strip: ['authorization', 'last-event-id', 'unknown'] } }, bounds: { usableMs: NEAR_MS, transport: 'ws' } },
  {
    name: 'headers lost, Upgrade refused',
    bound: 'SSE ≤ 0.5 s',
    rules: { all: { strip: ['authorization', 'last-event-id', 'unknown'] }, ws: { refuse: 400 } },
    bounds: { usableMs: 500, transport: 'sse' },
  },
]
