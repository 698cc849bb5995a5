/** Changes during the life of a page: the hub restarts, a block is lifted, the page is loaded again. */
import { startServer } from '../../server.js'
import { pass, until } from '../journey.js'

const BACK_UP_MS = 35_000
const GAP_MS = 250
const KNOWN_MS = 200

/** @typedef {import('../journey.js').World} World */

/** @param {NodeJS.Signals} signal @returns {(world: World) => Promise<void>} */
const restarted = (signal) => async (world) => {
  await pass(1000)
  const { port } = world.server
  const { transport } = await world.call('seen')
  await world.publisher.every(0)
  await world.call('speak', 0)
  await until(async () => world.isQuiet(), 5000)
  await world.keepWords()
  world.mark('stopped')
  await world.server.stop(signal)
  world.server = await startServer(['--history-events', '100000'], port)
  world.mark('started')
  await until(async () => (await world.call('seen')).transport === transport, 30_000)
  world.mark('back')
  await world.publisher.every(50)
  await world.call('speak', 100)
  await pass(2000)
}

/** Bounds: the same transport as before, and soon. @param {string} transport @returns {import('../judge.js').Bounds} */
const same = (transport) => ({
  transport,
  reason: new RegExp(`^${transport}:`),
  more: ({ marks, ways }) => [
    ways.some((/** @type {any} */ { to }) => to !== transport) && `carried by ${ways.map((/** @type {any} */ { to }) => to)}`,
    !(marks.back - marks.started < 21_000) && `back ${marks.back - marks.started} ms after the hub`,
  ],
})

/** @type {Record<string, Parameters<import('../../support/middlebox.js').Middlebox['set']>[0]>} */
const blocks = { ws: {}, sse: { ws: { refuse: 403 } }, poll: { ws: { refuse: 403 }, sse: { refuse: 403 } } }
const title = (/** @type {string} */ transport) => (transport === 'poll' ? 'LP' : transport.toUpperCase())

/** @type {import('../paths.js').Path[]} */
export const changePaths = [
  ...Object.entries(blocks).flatMap(([transport, rules]) =>
    /** @type {[string, NodeJS.Signals][]} */ ([['killed and restarted', 'SIGKILL'], ['drained and restarted', 'SIGTERM']]).map(([what, signal]) => ({
      name: `hub ${what}, on ${title(transport)}`,
      bound: 'same transport as before',
      rules,
      flags: ['--drain', '2s'],
      fast: transport === 'ws',
      story: restarted(signal),
      // If the poll survives, the reported reason is still that of the start.
      bounds: { ...same(transport), ...(transport === 'poll' && { reason: /^(sse|poll):/ }) },
    })),
  ),
  ...Object.entries({ 'Upgrade refused': blocks.sse, 'WS and SSE refused': blocks.poll }).map(([name, rules], index) => ({
    name: `${name}, block lifted`,
    bound: 'back on WS ≤ 35 s, no gap over 250 ms',
    rules,
    fast: !index,
    async story(/** @type {World} */ world) {
      await pass(2000)
      world.mark('lifted')
      world.box.set({})
      await world.carriedBy('ws', BACK_UP_MS + 5000)
      world.mark('back')
      await pass(2000)
    },
    bounds: { transport: 'ws', worstMs: GAP_MS, more: ({ marks }) => [!(marks.back - marks.lifted <= BACK_UP_MS) && `back after ${marks.back - marks.lifted} ms`] },
  })),
  ...Object.entries({ 'Upgrade swallowed': ['sse', { ws: { swallow: true } }], 'Upgrade swallowed, streams held': ['poll', { ws: { swallow: true }, sse: { hold: 'whole' } }] }).map(([name, [transport, rules]], index) => ({
    name: `second page load: ${name}`,
    bound: 'usable transport first, ≤ 0.2 s',
    rules: /** @type {any} */ (rules),
    fast: !index,
    async fromStart(/** @type {World} */ world) {
      await until(async () => (await world.call('seen')).usableAt, 10_000)
      const memory = await world.call('memory')
      await world.seat?.leave()
      await world.enter(memory)
      await world.call('go')
    },
    bounds: {
      usableMs: KNOWN_MS,
      transport: /** @type {string} */ (transport),
      more: (/** @type {any} */ { first }) => [first !== transport && `first on ${first}`],
    },
  })),
]
