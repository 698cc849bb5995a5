/**
 * Measures how long it takes until the client is usable (a publish is answered) where it must fall back: many first
 * and second visits to each path, with their median and 90th percentile.
 */
import { Middlebox } from '../support/middlebox.js'
import { startServer } from '../server.js'
import { servedClient } from './engines.js'
import { until } from './journey.js'
import { lines, replace } from './table.js'

/** The time limit of one visit, in ms. After that, it counts as never usable. */
const VISIT_MOST_MS = 20_000
/**
 * Time to learn, in ms: a visit keeps what it learned when a transport carries, and a second transport may be
 * proven a little later.
 */
const LEARN_MS = 1500
export const FIRST_MOST_MS = 1000
export const SECOND_MOST_MS = 300

const noWs = { ws: { refuse: /** @type {const} */ (403) } }
const swallowed = { ws: { swallow: true } }

/** @type {[string, import('../support/middlebox.js').Rules][]} */
export const fallbacks = [
  ['Upgrade refused', noWs],
  ['Upgrade swallowed', swallowed],
  ['WS cut in silence after the 101', { ws: { mute: 'both' } }],
  ['WS cut in silence after hello', { ws: { mute: 'up' } }],
  ['WS cut in silence after hello, streams held', { ws: { mute: 'up' }, sse: { hold: 'whole' } }],
  ['Upgrade refused, streams held', { ...noWs, sse: { hold: 'whole' } }],
  ['Upgrade refused, bodies held', { ...noWs, sse: { hold: 'body' } }],
  ['Upgrade swallowed, streams held', { ...swallowed, sse: { hold: 'whole' } }],
  ['Upgrade swallowed, bodies held', { ...swallowed, sse: { hold: 'body' } }],
]

/**
 * @typedef {object} Times one line of the table
 * @property {string} path
 * @property {'first' | 'second'} visit
 * @property {string} engine
 * @property {number} p50 in ms
 * @property {number} p90
 * @property {string} transports that carried when it was usable, with their counts
 */

/** @param {number[]} sorted @param {number} share */
export const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]

/** @param {import('./engines.js').Engine} engine @param {Middlebox} box @param {import('../support/middlebox.js').Rules} rules @param {string} [memory] */
async function visit(engine, box, rules, memory) {
  box.set({})
  const seat = await engine.visit(box.address, { isEager: true }, memory)
  try {
    box.set(rules)
    // Cut the connection that loaded the page: it is not subject to these rules.
    box.cut()
    await seat.call('go')
    const isUsable = await until(async () => (await seat.call('seen')).answeredAt, VISIT_MOST_MS)
    const { beganAt, answeredAt, transport } = await seat.call('seen')
    await new Promise((resolve) => setTimeout(resolve, memory ? 0 : LEARN_MS))
    return { ms: isUsable ? answeredAt - beganAt : Infinity, transport, memory: await seat.call('memory') }
  } finally {
    await seat.leave()
  }
}

/** @param {string} path @param {Times['visit']} which @param {string} engine @param {{ms: number, transport: string}[]} visits @returns {Times} */
function timesOf(path, which, engine, visits) {
  const sorted = visits.map(({ ms }) => ms).sort((one, other) => one - other)
  const counts = new Map()
  for (const { transport } of visits) counts.set(transport, (counts.get(transport) ?? 0) + 1)
  const transports = [...counts].map(([transport, count]) => (counts.size > 1 ? `${transport} ${count}` : transport)).join(', ')
  return { path, visit: which, engine, p50: quantile(sorted, 0.5), p90: quantile(sorted, 0.9), transports }
}

/**
 * Measures each path with its own middlebox. Visits run one after the other, so that none slows another down.
 * @param {import('./engines.js').Engine} engine @param {number} visits @param {string} [words] in the path's name
 * @param {(times: Times) => void} [tell]
 */
export async function timesUntilUsable(engine, visits, words = '', tell = () => {}) {
  /** @type {Times[]} */
  const all = []
  for (const [path, rules] of fallbacks.filter(([path]) => path.includes(words))) {
    const server = await startServer(['--open', '--publish-rate', '0'])
    const box = await Middlebox.start({ port: server.port })
    box.serve = servedClient
    const [first, second] = [/** @type {any[]} */ ([]), /** @type {any[]} */ ([])]
    try {
      for (let n = 0; n < visits; n++) {
        first.push(await visit(engine, box, rules))
        second.push(await visit(engine, box, rules, first[n].memory))
      }
    } finally {
      await box.stop()
      await server.stop()
    }
    for (const times of [timesOf(path, 'first', engine.name, first), timesOf(path, 'second', engine.name, second)]) {
      all.push(times)
      tell(times)
    }
  }
  return all
}

/** @param {Times} times */
export const isLate = ({ visit, p90 }) => p90 > (visit === 'first' ? FIRST_MOST_MS : SECOND_MOST_MS)

const TABLE = 'usable'
const HEAD = ['path', 'visit', 'engine', 'target', 'before: p50 / p90', 'by', 'after: p50 / p90', 'by']
/** The columns at which the two figures of a build begin. */
const COLUMN = { before: 4, after: 6 }

/** @param {string[]} line */
const key = (line) => line.slice(0, 3).join(' | ')

/** @param {number} ms */
const told = (ms) => (ms < Infinity ? `${ms} ms` : 'never')

/**
 * Writes these figures into docs/networks.md. Those of the other build and of other paths and engines stay.
 * @param {Times} times @param {'before' | 'after'} build
 */
export function writeTimes({ path, visit, engine, p50, p90, transports }, build) {
  const all = new Map(lines(TABLE).map((line) => [key(line), line]))
  const target = `≤ ${visit === 'first' ? FIRST_MOST_MS : SECOND_MOST_MS} ms`
  const fresh = [path, visit, engine, target]
  const line = all.get(key(fresh)) ?? [...fresh, '', '', '', '']
  line.splice(COLUMN[build], 2, `${told(p50)} / ${told(p90)}`, transports)
  all.set(key(line), line)
  const place = (/** @type {string[]} */ [path]) => fallbacks.findIndex(([name]) => name === path)
  replace(TABLE, HEAD, [...all.values()].sort((one, other) => place(one) - place(other) || one[2].localeCompare(other[2]) || one[1].localeCompare(other[1])))
}
