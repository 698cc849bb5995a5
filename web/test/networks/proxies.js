/**
 * The client through real proxies. Each is a process on a free port, started with a file of tests/proxies.
 * docs/proxies.md explains the files.
 */
import { pass, until } from './journey.js'
import { startProxy } from './programs.js'

/** The time limit for two cuts, in ms. */
const LEARNT_MOST_MS = 40_000

/**
 * @typedef {object} Expected
 * @property {string} [about] what it is, if the name of its file does not say it
 * @property {boolean} [isForward] the client uses it as a forward proxy; otherwise it stands in front of the hub
 * @property {(world: import('./journey.js').World) => Promise<any>} [story]
 * @property {{transports: string[]}} [options] of the client
 * @property {number} [everyMs]
 * @property {number} [sayEveryMs]
 * @property {string} bound
 * @property {import('./judge.js').Bounds} bounds
 */

const REFUSED_MS = 500
const WS = { bound: 'WS ≤ 0.2 s', bounds: { usableMs: 200, transport: 'ws' } }
const SSE = { bound: 'SSE ≤ 0.5 s', bounds: { usableMs: REFUSED_MS, transport: 'sse', reason: /^ws:/ } }
/** Upgrade is accepted and never answered. */
const UNANSWERED = { bound: 'SSE ≤ 1.5 s', bounds: { usableMs: 1500, transport: 'sse', reason: /^ws:slow/ } }
const LP = { bound: 'LP ≤ 3 s', bounds: { usableMs: 3000, transport: 'poll' } }

/** Quiet for three cuts, then judged. The cuts are the proxy's own, so they are counted as reconnects. */
const short = {
  everyMs: 3_600_000,
  sayEveryMs: 0,
  async story(/** @type {import('./journey.js').World} */ world) {
    world.judgedFrom = Infinity
    // Because of the hub's own pings, a connection lasts two or three times the idle limit.
    await until(async () => (await world.call('seen')).changes.filter((/** @type {any} */ { what, to }) => what === 'transport' && to).length >= 3, LEARNT_MOST_MS)
    await pass(1000)
    world.judgedFrom = Date.now()
    world.mark('judged from')
    for (let time = 0; time < 2; time++) {
      await pass(6500)
      await world.publisher.one()
    }
  },
  bound: 'learned after two cuts, then no gap over 250 ms',
  bounds: {
    transport: 'ws',
    worstMs: 250,
    more: (/** @type {any} */ { changes, marks }) => [changes.some((/** @type {any} */ { atMs }) => atMs > marks['judged from']) && 'cut after it should have been learned'],
  },
}

/** @type {Record<string, Expected>} by file */
const expected = {
  'nginx-bare.conf': SSE,
  'nginx-tuned.conf': WS,
  'nginx-gzip.conf': LP,
  'nginx-gzip-streaming.conf': SSE,
  'nginx-short.conf': short,
  'nginx-http2.conf': WS,
  'nginx-http2-bare.conf': SSE,
  'haproxy-default.cfg': WS,
  'haproxy-tuned.cfg': WS,
  'haproxy-short.cfg': short,
  'apache-plain.conf': SSE,
  'apache-ws.conf': WS,
  'varnish-default.vcl': SSE,
  'varnish-tuned.vcl': WS,
  'varnish-held.vcl': LP,
  'lighttpd-default.conf': LP,
  'lighttpd-tuned.conf': WS,
  'squid-forward.conf': { ...SSE, isForward: true },
  'squid-accelerator.conf': SSE,
  'tinyproxy.conf': { ...SSE, isForward: true },
  'privoxy.conf': { ...WS, isForward: true },
  'caddy-plain.caddyfile': WS,
  'caddy-gzip.caddyfile': SSE,
  'trafficserver-plain.config': SSE,
  'trafficserver-ws.config': WS,
  'h2o-plain.yaml': SSE,
  'h2o-ws.yaml': WS,
  'nghttpx-http2.conf': WS,
  'mitmproxy.yaml': { ...LP, options: { transports: ['sse', 'poll'] } },
  'http-proxy-plain.cjs': UNANSWERED,
  'http-proxy-ws.cjs': WS,
}

/** @type {import('./paths.js').Path[]} */
export const proxyPaths = Object.entries(expected).map(([file, { isForward, bounds, ...rest }]) => ({
  name: file,
  ...rest,
  bounds,
  fast: true,
  engines: isForward ? ['node', 'chromium'] : undefined,
  async front(hub) {
    const proxy = await startProxy(file, hub)
    return isForward ? { address: `http://127.0.0.1:${hub}/`, proxy: proxy.address.slice(0, -1), stop: proxy.stop } : proxy
  },
}))
