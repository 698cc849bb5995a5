/** Paths that cut each transport, by age or by idleness. */
import { pass, until } from '../journey.js'

const CUT_MS = 5000
/** The longest latency once the cut is known, in ms. */
const GAP_MS = 250
/** Time to act on what was learned, in ms: the second cut still costs one reconnect. */
const LEARN_MS = 1000
/** Time for three more cuts if nothing was learned, in ms. */
const THREE_CUTS_MS = 16_000

/**
 * Waits for the second cut, gives the client time to act, then judges deliveries for the time of three more. If
 * there is no second cut, the client learned earlier, and the rest is judged.
 * @param {import('../journey.js').World} world
 */
async function judgeAfterTwoCuts(world) {
  world.judgedFrom = Infinity
  await until(() => world.box.cuts >= 2, 4 * CUT_MS)
  await pass(LEARN_MS)
  world.judgedFrom = Date.now()
  world.mark('judged from')
  await pass(THREE_CUTS_MS)
}

/**
 * Sends rarely enough for idle cuts. Single events in between show whether a delivery is late.
 * @param {import('../journey.js').World} world
 */
async function quietly(world) {
  world.judgedFrom = Infinity
  // Cuts as the client sees them. Browsers silently repeat requests whose keep-alive connection was reset (Firefox
  // five times), but not streams and sockets.
  const lost = async () => (await world.call('seen')).changes.filter((/** @type {any} */ { what, to }) => what === 'transport' && !to).length
  await until(async () => (await lost()) >= 2, 9 * CUT_MS)
  await pass(LEARN_MS)
  world.judgedFrom = Date.now()
  world.mark('judged from')
  const isPolling = (await world.call('seen')).transport === 'poll'
  const count = async () => (isPolling ? lost() : world.box.cuts)
  const cuts = await count()
  for (let time = 0; time < 4; time++) {
    await pass(CUT_MS + 1300)
    await world.publisher.one()
  }
  world.cutsAfter = (await count()) - cuts
}

/** Effectively never: the story publishes, not the timer. */
const NEVER_MS = 3_600_000

/** @type {import('../paths.js').Path[]} */
export const cutPaths = [
  {
    name: 'WS cut every 5 s',
    bound: 'learned after two cuts, then no gap over 250 ms',
    rules: { ws: { ageMs: CUT_MS, cutAs: 'reset' } },
    fast: true,
    story: judgeAfterTwoCuts,
    bounds: { usableMs: 200, worstMs: GAP_MS },
  },
  {
    name: 'WS cut by 5 s idle',
    bound: 'learned after two cuts, then no gap over 250 ms',
    rules: { ws: { idleMs: CUT_MS } },
    everyMs: NEVER_MS,
    sayEveryMs: 0,
    fast: true,
    story: quietly,
    bounds: { usableMs: 200, transport: 'ws', worstMs: GAP_MS, more: ({ cutsAfter }) => [cutsAfter > 0 && `cut ${cutsAfter} times after two`] },
  },
  {
    name: 'WS refused, SSE cut every 5 s',
    bound: 'learned after two cuts, then no gap over 250 ms',
    rules: { ws: { refuse: 403 }, sse: { ageMs: CUT_MS } },
    fast: true,
    story: judgeAfterTwoCuts,
    bounds: { usableMs: 500, worstMs: GAP_MS },
  },
  {
    name: 'WS refused, SSE cut by 5 s idle',
    bound: 'learned after two cuts, then no gap over 250 ms',
    rules: { ws: { refuse: 403 }, sse: { idleMs: CUT_MS } },
    everyMs: NEVER_MS,
    sayEveryMs: 0,
    story: quietly,
    bounds: { usableMs: 500, transport: 'sse', worstMs: GAP_MS, more: ({ cutsAfter }) => [cutsAfter > 0 && `cut ${cutsAfter} times after two`] },
  },
  ...[/** @type {const} */ ('reset'), 504].map((cutAs) => ({
    name: `WS and SSE refused, polls cut by 5 s idle (${cutAs})`,
    bound: 'learned after two cuts, then no gap over 250 ms',
    rules: { ws: { refuse: 403 }, sse: { refuse: 403 }, poll: { idleMs: CUT_MS, cutAs } },
    everyMs: NEVER_MS,
    sayEveryMs: 0,
    fast: cutAs === 504,
    story: quietly,
    bounds: { transport: 'poll', worstMs: GAP_MS, more: (/** @type {any} */ { cutsAfter }) => [cutsAfter > 0 && `cut ${cutsAfter} times after two`] },
  })),
  {
    name: 'WS and SSE refused, polls cut at 5 s of age',
    bound: 'learned after four cuts (early first, then shorter), then no gap over 250 ms',
    rules: { ws: { refuse: 403 }, sse: { refuse: 403 }, poll: { ageMs: CUT_MS, cutAs: 504 } },
    everyMs: NEVER_MS,
    sayEveryMs: 0,
    story: quietly,
    bounds: { transport: 'poll', reason: /^poll:/, worstMs: GAP_MS },
  },
]
