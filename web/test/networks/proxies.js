/**
 * The client through real proxies: each is a file under tests/proxies, started as a process of its own
 * on a free port. The files are those that docs/networks.md shows.
 */
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.js'
import { pass, until } from './journey.js'

const FILES = new URL('../../../tests/proxies/', import.meta.url)
/** A cold start on busy cores, in ms: squid takes some seconds. */
const START_MS = 30_000
/** How long a process may take to end by itself, in ms. */
const STOP_MS = 5000

/** How each program is started in the foreground, by the first word of its file's name. @type {Record<string, (file: string, folder: string, port: number) => [string, string[]]>} */
const programs = {
  nginx: (file, folder) => ['nginx', ['-e', 'stderr', '-p', folder, '-c', file, '-g', 'daemon off;']],
  haproxy: (file) => ['haproxy', ['-db', '-f', file]],
  apache: (file) => ['apache2', ['-D', 'FOREGROUND', '-f', file]],
  varnish: (file, folder, port) => ['varnishd', ['-F', '-j', 'none', '-n', folder, '-a', `127.0.0.1:${port}`, '-f', file, '-s', 'malloc,16m', '-p', 'thread_pool_min=10']],
  lighttpd: (file) => ['lighttpd', ['-D', '-f', file]],
  squid: (file) => ['squid', ['-N', '-f', file]],
  tinyproxy: (file) => ['tinyproxy', ['-d', '-c', file]],
}

/** Daemons live where an ordinary PATH does not look. */
const PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`

/** @param {number} port @returns {Promise<boolean>} */
const isOpen = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy())
  })

/** @param {string} folder for a certificate of this run alone */
function makeCertificate(folder) {
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'certificate.pem')], { stdio: 'ignore' })
}

/**
 * @param {string} name of the file
 * @param {number} hub its port
 * @returns {Promise<import('./journey.js').Front>}
 */
async function startProxy(name, hub) {
  const folder = mkdtempSync(join(tmpdir(), 'triway-proxy-'))
  // Some programs leave root behind before they write here.
  chmodSync(folder, 0o777)
  const port = await freePort()
  const text = readFileSync(new URL(name, FILES), 'utf8').replaceAll('@PORT@', String(port)).replaceAll('@HUB@', String(hub)).replaceAll('@FOLDER@', folder)
  const isSecure = text.includes('certificate.pem')
  if (isSecure) makeCertificate(folder)
  const file = join(folder, name)
  writeFileSync(file, text)
  const [program, flags] = programs[name.split(/[-.]/)[0]](file, folder, port)
  const child = spawn(program, flags, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH } })
  let said = ''
  child.on('error', (error) => (said += error))
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (said = (said + bytes).slice(-4000)))
  const ended = new Promise((resolve) => child.on('exit', resolve).on('error', resolve))
  const stop = async () => {
    child.kill('SIGTERM')
    await Promise.race([ended, pass(STOP_MS).then(() => child.kill('SIGKILL'))])
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  if (!(await until(() => child.exitCode !== null || isOpen(port), START_MS)) || child.exitCode !== null) {
    await stop()
    throw new Error(`${program} did not start: ${said}`)
  }
  return { address: `${isSecure ? 'https' : 'http'}://127.0.0.1:${port}/`, stop }
}

/**
 * @typedef {object} Expected
 * @property {string} [about] what it is, where the name of its file does not say it
 * @property {boolean} [isForward] the client is told of it; else it stands before the hub
 * @property {(world: import('./journey.js').World) => Promise<any>} [story]
 * @property {number} [everyMs]
 * @property {number} [sayEveryMs]
 * @property {string} bound
 * @property {import('./judge.js').Bounds} bounds
 */

const REFUSED_MS = 500
const WS = { bound: 'WS ≤ 0.2 s', bounds: { usableMs: 200, transport: 'ws' } }
const SSE = { bound: 'SSE ≤ 0.5 s', bounds: { usableMs: REFUSED_MS, transport: 'sse', reason: /^ws:/ } }
const LP = { bound: 'LP ≤ 3 s', bounds: { usableMs: 3000, transport: 'poll' } }

/** Quiet for three cuts, then judged: the cuts are the proxy's own, so they are counted as reconnects. */
const short = {
  everyMs: 3_600_000,
  sayEveryMs: 0,
  async story(/** @type {import('./journey.js').World} */ world) {
    world.judgedFrom = Infinity
    await pass(13_000)
    world.judgedFrom = Date.now()
    world.mark('judged from')
    for (let time = 0; time < 2; time++) {
      await pass(6500)
      await world.publisher.one()
    }
  },
  bound: 'learned after two cuts of 5 s, then no gap over 250 ms',
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
