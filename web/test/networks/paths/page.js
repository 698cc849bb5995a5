/** Faults of the page's own environment: its clock, its origin. */
import { pass } from '../journey.js'

/** @typedef {import('../../support/middlebox.js').Rules} Rules */

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const noWs = { ws: { refuse: 403 } }
const onlyPolls = { ws: { refuse: 403 }, sse: { refuse: 403 } }
const HEARTBEAT = ['--heartbeat', '2s']

/** @type {[string, Rules, string][]} */
const carriers = [['WS', {}, 'ws'], ['SSE', noWs, 'sse'], ['LP', onlyPolls, 'poll']]

/** @type {import('../paths.js').Path[]} */
export const clockPaths = [
  ...[-HOUR_MS, DAY_MS].map((skewMs) => ({
    name: `the clock ${skewMs < 0 ? 'an hour behind' : 'a day ahead'}, Upgrade refused`,
    bound: 'SSE ≤ 0.5 s',
    options: { skewMs },
    rules: noWs,
    story: () => pass(5000),
    bounds: { usableMs: 500, transport: 'sse', reason: /^ws:/ },
  })),
  ...carriers.map(([name, rules, transport], index) => ({
    name: `the clock set ${index % 2 ? 'ahead' : 'back'} by an hour, then a cut, on ${name}`,
    bound: 'no event over 1.5 s',
    rules,
    async story(/** @type {import('../journey.js').World} */ world) {
      await pass(1500)
      await world.call('skew', index % 2 ? HOUR_MS : -HOUR_MS)
      await pass(500)
      world.box.cut()
      await pass(4000)
    },
    bounds: { usableMs: 1000, transport, worstMs: 1500 },
  })),
  {
    name: 'the clock set back by an hour while nothing gets through',
    bound: 'back ≤ 6 s after 2 s of nothing',
    async story(world) {
      await pass(1000)
      world.box.set({ all: { refuse: 502 } })
      world.box.cut()
      await pass(1500)
      await world.call('skew', -HOUR_MS)
      await pass(500)
      world.mark('lifted')
      world.box.set({})
      world.judgedFrom = Infinity
      await world.isConnected(15_000)
      world.mark('back')
      // Reset the clock, so that the rest of the run ends even if it failed.
      await world.call('skew', 0)
      await pass(1500)
    },
    bounds: { usableMs: 1000, transport: 'ws', more: ({ marks }) => [!(marks.back - marks.lifted <= 6000) && `back after ${marks.back - marks.lifted} ms`] },
  },
  {
    name: 'the clock set back by an hour, then silence',
    bound: 'no event later than 2 heartbeats (2 s each)',
    flags: HEARTBEAT,
    everyMs: 500,
    sayEveryMs: 0,
    async story(world) {
      await pass(1000)
      await world.call('skew', -HOUR_MS)
      await pass(500)
      world.box.deaden()
      await pass(8000)
    },
    bounds: { usableMs: 1000, worstMs: 5000 },
  },
]

/** Only browsers know origins. */
const engines = ['chromium', 'firefox', 'webkit']

/** @type {import('../paths.js').Path[]} */
export const elsewherePaths = [
  ...carriers.map(([name, rules, transport]) => ({
    name: `the page of another origin, on ${name}`,
    bound: `${name} ≤ ${name === 'WS' ? 0.2 : 0.5} s`,
    isElsewhere: true,
    engines,
    rules: { ...rules, options: { refuse: 405 } },
    bounds: { usableMs: name === 'WS' ? 200 : 500, transport },
  })),
  {
    name: 'the page of another origin, POST refused, on SSE',
    bound: 'everything sent arrives once, in order',
    isElsewhere: true,
    engines,
    rules: { ...noWs, post: { refuse: 403 } },
    story: () => pass(4000),
    bounds: { usableMs: 500, transport: 'sse' },
  },
]
