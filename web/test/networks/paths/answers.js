/** Requests and responses that are refused, lost or duplicated in transit. */
import { pass } from '../journey.js'

/** Long enough for a POST to hang twice before the client leaves it, in ms. */
const HANG_MS = 14_000

/** @typedef {import('../../support/middlebox.js').Rule} Rule */
/** @type {[string, Rule, number, boolean?][]} */
const posts = [
  ['POST refused: 403', { refuse: 403 }, 4000, true],
  ['POST refused: 405', { refuse: 405 }, 4000],
  ['POST refused by a reset', { refuse: 'reset' }, 4000],
  ['POST hanging', { swallow: true }, HANG_MS, true],
  ['POST answer lost, 1 in 5', { lose: 5 }, 8000, true],
  ['POST duplicated', { duplicate: true }, 4000, true],
]

/** @type {import('../paths.js').Path[]} */
export const sendingPaths = posts.flatMap(([name, post, ms, fast]) =>
  /** @type {const} */ (['sse', 'poll']).map((carrier) => ({
    name: `${name}, on ${carrier === 'sse' ? 'SSE' : 'LP'}`,
    bound: 'everything sent arrives once, in order',
    rules: { ws: { refuse: 403 }, ...(carrier === 'poll' && { sse: { refuse: 403 } }), post },
    fast: fast && carrier === 'sse',
    story: () => pass(ms),
    arriveMostMs: 30_000,
    bounds: { transport: carrier },
  })),
)

/** @type {import('../paths.js').Path[]} */
export const pollPaths = [
  ['poll answer lost, 1 in 10', { lose: 10 }, true],
  ['poll answered from a cache by its address', { cache: /** @type {const} */ ('url') }],
  ['1 poll in 10 answered from a cache', { cache: 10 }, true],
  ['two polls overlapping', { duplicate: true }, true],
].map(([name, poll, fast]) => ({
  name: /** @type {string} */ (name),
  bound: 'exactly once',
  rules: { ws: { refuse: 403 }, sse: { refuse: 403 }, poll: /** @type {Rule} */ (poll) },
  fast: !!fast,
  story: () => pass(6000),
  // The reason of the first choice, or of the response that was lost last.
  bounds: { transport: 'poll', reason: /^sse:http$|^poll:(closed|foreign)$/ },
}))
