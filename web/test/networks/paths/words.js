/** Middleboxes that drop parts of the client's requests: the query, a header, a cookie, the body. */
import { pass } from '../journey.js'

/** @typedef {import('../../support/middlebox.js').Rules} Rules */

const noWs = { ws: { refuse: /** @type {const} */ (403) } }
const onlyPolls = { ...noWs, sse: { refuse: /** @type {const} */ (403) } }
const WHOLE = { queryMost: Infinity }
const browsers = ['chromium', 'firefox']

/** A hub that requires a token. The door checks it, and the hub behind it accepts what the door lets through. */
const TOKEN = 'secret'
const door = { all: { demand: TOKEN, strip: ['authorization'] } }
const noHeader = { all: { strip: ['authorization'] } }
const noSubprotocol = { strip: ['sec-websocket-protocol'] }
const noCookie = { strip: ['cookie'] }

/** @param {string} name @param {Rules} rules @param {Partial<import('../paths.js').Path>} [more] @returns {import('../paths.js').Path} */
const lost = (name, rules, more) => ({
  name,
  bound: 'usable ≤ 3 s, never captive, everything sent arrives once',
  rules,
  sayEveryMs: 300,
  story: () => pass(4000),
  arriveMostMs: 30_000,
  ...more,
  bounds: { usableMs: 3000, mayBeCaptive: false, ...more?.bounds },
})

const withToken = { door, options: { token: TOKEN } }
const withCookie = { door, options: { cookie: `token=${TOKEN}` }, engines: browsers }

/** @type {import('../paths.js').Path[]} */
export const lostWordPaths = [
  lost('the query of every GET cut off', { all: { queryMost: 0 }, post: WHOLE }, { fast: true, inBrowsers: true, bounds: { transport: 'sse|poll' } }),
  lost('the query of every request cut off', { all: { queryMost: 0 } }, { fast: true, bounds: { transport: 'sse|poll' } }),
  lost('queries cut off after 40 characters, POST untouched', { all: { queryMost: 40 }, post: WHOLE }, { bounds: { transport: 'sse|poll' } }),
  lost('the query of Upgrades and streams cut off, POST too', { ws: { queryMost: 0 }, sse: { queryMost: 0 } }),
  lost('Authorization lost, a token needed', noHeader, { ...withToken, bounds: { transport: 'ws' } }),
  lost('Authorization lost, a token needed, Upgrade refused', { ...noHeader, ...noWs }, { ...withToken, fast: true, inBrowsers: true, bounds: { transport: 'sse' } }),
  lost('Authorization lost, a token needed, WS and SSE refused', { ...noHeader, ...onlyPolls }, { ...withToken, bounds: { transport: 'poll' } }),
  lost('the subprotocol lost, a token needed', { ws: noSubprotocol }, { ...withToken, fast: true, bounds: { transport: 'sse' } }),
  lost('the cookie of Upgrades lost, a token needed', { ws: noCookie }, { ...withCookie, inBrowsers: true, bounds: { transport: 'sse' } }),
  lost('the cookie of Upgrades and streams lost, a token needed', { ws: noCookie, sse: noCookie }, { ...withCookie, bounds: { transport: 'poll' } }),
  ...[/** @type {const} */ ('changed'), /** @type {const} */ ('emptied')].flatMap((body) => [
    lost(`the body of every POST ${body}, on SSE`, { ...noWs, post: { body } }, { fast: body === 'emptied', inBrowsers: body === 'emptied', bounds: { transport: 'sse' } }),
    lost(`the body of every POST ${body}, on LP`, { ...onlyPolls, post: { body } }, { bounds: { transport: 'poll' } }),
  ]),
]
