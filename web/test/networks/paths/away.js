/** Responses with a script appended, and gateways that usually cannot reach the hub. */
import { pass } from '../journey.js'

const noWs = { ws: { refuse: /** @type {const} */ (403), passNth: undefined } }
const onlyPolls = { ...noWs, sse: { refuse: /** @type {const} */ (403), passNth: undefined } }
/** How long the client tries before it rejects a publish, and how late the rejection may be, in ms. */
const TRIES_MS = 60_000
const LATE_MS = 10_000

/** @type {import('../paths.js').Path[]} */
export const scriptPaths = [
  ['WS open', {}, 'ws'],
  ['Upgrade refused', noWs, 'sse'],
  ['WS and SSE refused', onlyPolls, 'poll'],
].map(([name, rules, transport]) => ({
  name: `a script after every text and JSON answer, ${name}`,
  bound: 'usable ≤ 1 s, everything sent arrives once',
  rules: { all: { banner: /** @type {const} */ ('script') }, .../** @type {object} */ (rules) },
  story: () => pass(4000),
  fast: transport !== 'ws',
  inBrowsers: transport === 'poll',
  bounds: { usableMs: 1000, transport: /** @type {string} */ (transport), mayBeCaptive: false },
}))

/** @type {[string, any][]} */
const carriers = [['WS allowed', {}], ['Upgrade refused', noWs], ['WS and SSE refused', onlyPolls]]

/** @param {any} measured */
function statedTime({ rejected, said }) {
  const early = rejected.filter((/** @type {string} */ text) => Number(/after (\d+) ms/.exec(text)?.[1]) < TRIES_MS)
  const late = rejected.filter((/** @type {string} */ text) => Number(/after (\d+) ms/.exec(text)?.[1]) > TRIES_MS + LATE_MS)
  const mute = rejected.filter((/** @type {string} */ text) => !/\b(http_)?502\b/.test(text.replace(/^.*? ms: /, '')))
  return [
    said !== rejected.length && `${rejected.length} of ${said} are rejected`,
    early.length > 0 && `rejected too early: ${early[0]}`,
    late.length > 0 && `rejected too late: ${late[0]}`,
    mute.length > 0 && `rejected without the real reason: ${mute[0]}`,
  ]
}

/** @type {import('../paths.js').Path[]} */
export const awayPaths = [
  ...[502, 503, 504].flatMap((refuse) =>
    carriers.map(([name, rules], index) => ({
      name: `two of three requests answered ${refuse}, ${name}`,
      bound: 'order kept, nothing rejected, never captive',
      rules: { all: { refuse, passNth: 3 }, ...rules },
      sayEveryMs: 300,
      story: () => pass(8000),
      arriveMostMs: 40_000,
      fast: refuse === 502 && index > 0,
      inBrowsers: refuse === 502 && index === 1,
      // The carrier depends on which requests get through.
      bounds: { mayBeCaptive: false, transport: 'ws|sse|poll' },
    })),
  ),
  {
    name: 'every publish answered 502, on SSE',
    bound: 'rejected after 60 s, not sooner, and with the real reason',
    rules: { ...noWs, post: { refuse: 502 }, publish: { refuse: 502 } },
    sayEveryMs: 5000,
    story: () => pass(12_000),
    arriveMostMs: TRIES_MS + LATE_MS + 5000,
    bounds: { usableMs: 1000, transport: 'sse', mayBeCaptive: false, mayReject: true, more: statedTime },
  },
]
