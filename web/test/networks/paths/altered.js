/** Responses and requests that are altered in transit, addresses that are refused, slow links. */
import { pass } from '../journey.js'

const KIB = 1024
const noWs = { ws: { refuse: 403 } }
const onlyPolls = { ws: { refuse: 403 }, sse: { refuse: 403 } }

/** @type {[string, import('../../support/middlebox.js').Rules, string][]} */
const answers = [
  ['answers byte by byte, Upgrade refused', { ...noWs, all: { hold: 'drip' } }, 'sse'],
  ['HTTP/1.0 to the client, Upgrade refused', { ...noWs, all: { oldHttp: true } }, 'sse'],
  ['a banner of HTML in the stream, Upgrade refused', { ...noWs, sse: { banner: 'within' } }, 'sse'],
  ['the stream turned into 204, Upgrade refused', { ...noWs, sse: { status: 204 } }, 'poll'],
  ['the stream named text/plain, Upgrade refused', { ...noWs, sse: { type: 'text/plain' } }, 'poll'],
  ['the connection closed after each answer, WS and SSE refused', { ...onlyPolls, all: { close: true } }, 'poll'],
  ['addresses over 400 characters refused (414), Upgrade refused', { ...noWs, all: { addressMost: 400 } }, 'sse'],
]

/** @type {[string, import('../../support/middlebox.js').Rule][]} */
const posts = [
  ['POST answered 200 with a page', { refuse: 200 }],
  ['POST answered 204', { refuse: 204 }],
  ['POST answered 401 by a gateway', { refuse: 401 }],
  ['POST answered 429, Retry-After 1', { refuse: 429, retryAfter: 1 }],
  ["POST's answer with a banner of HTML", { banner: 'before' }],
  ["half of POST's body lost", { halve: true }],
]

/** @type {import('../paths.js').Path[]} */
export const alteredPaths = [
  ...answers.map(([name, rules, transport]) => ({ name, bound: `${transport === 'poll' ? 'LP' : 'SSE'} ≤ 1 s`, rules, bounds: { usableMs: 1000, transport, reason: /^(ws|sse):/ } })),
  ...posts.map(([name, post]) => ({
    name: `${name}, on SSE`,
    bound: 'everything sent arrives once, in order',
    rules: { ...noWs, post },
    story: () => pass(4000),
    arriveMostMs: 30_000,
    bounds: { usableMs: 1000, transport: 'sse' },
  })),
  ...[302, 307].map((redirect) => ({
    name: `each address redirected once to itself: ${redirect}`,
    bound: 'usable ≤ 3 s',
    rules: { all: { redirect: /** @type {302} */ (redirect) } },
    story: () => pass(2000),
    bounds: { usableMs: 3000, transport: 'ws|sse|poll' },
  })),
  {
    name: 'polls answered from a cache that ignores the query, WS and SSE refused',
    bound: 'usable ≤ 3 s, exactly once',
    rules: { ...onlyPolls, poll: { cache: 'path' } },
    bounds: { usableMs: 3000, transport: 'poll' },
  },
]

/** Every number is large, and one has 10 kB. @param {import('../journey.js').World} world */
async function withOneLarge({ publisher }) {
  await pass(5000)
  publisher.padBytes = 10 * KIB
  await publisher.one()
  publisher.padBytes = 600
  await pass(10_000)
}

/** @param {any} measured */
const flaps = ({ ways }) => [ways.length > 3 && `it changes ${ways.length} times`]

/** @type {import('../paths.js').Path[]} */
export const slowPaths = [
  ...[{}, noWs].map((rules, index) => ({
    name: `2 kB per second in all, an event of 10 kB${index ? ', Upgrade refused' : ''}`,
    bound: 'usable ≤ 3 s, at most 3 changes',
    rules: { ...rules, bytesPerSecond: 2000 },
    padBytes: 600,
    everyMs: 1500,
    sayEveryMs: 2000,
    story: withOneLarge,
    bounds: { usableMs: 3000, more: flaps },
  })),
  { name: 'each first byte 2 s late', bound: 'WS ≤ 3 s', rules: { all: { lateMs: 2000 } }, story: () => pass(6000), bounds: { usableMs: 3000, transport: 'ws' } },
  { name: 'each first byte 2 s late, Upgrade refused', bound: 'usable ≤ 5 s, no event over 5 s', rules: { ...noWs, all: { lateMs: 2000 } }, story: () => pass(15_000), bounds: { usableMs: 5000, worstMs: 5000 } },
  {
    name: 'each piece of a stream 3 s late, Upgrade refused',
    bound: 'LP ≤ 3 s, no event over 2.5 s',
    rules: { ...noWs, sse: { lagMs: 3000 } },
    story: () => pass(12_000),
    bounds: { usableMs: 3000, transport: 'poll', worstMs: 2500 },
  },
  {
    name: 'stalls of 0.5 to 4 s',
    bound: 'no event over 5 s, at most 3 changes',
    async story({ box }) {
      for (const ms of [500, 1000, 2000, 3000, 4000]) {
        await pass(1000)
        box.stall(ms)
        await pass(ms)
      }
      await pass(3000)
    },
    bounds: { usableMs: 200, worstMs: 5000, more: flaps },
  },
]
