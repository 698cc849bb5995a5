/**
 * The real proxies. Each is a process on a free port, started with a file of tests/proxies. Knows how each program
 * is started, and nothing of what the client does there.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../support/free-port.js'
import { startProcess } from '../support/ending.js'
import { pass, until } from './journey.js'

const FILES = new URL('../../../tests/proxies/', import.meta.url)
/** The time limit of a start, in ms: on busy cores, squid takes some seconds. */
const START_MS = 30_000
/** How long a process may take to end by itself, in ms. */
const STOP_MS = 5000

/** The folder of http-proxy, which is an npm package. */
const PACKAGES = new URL('../../node_modules', import.meta.url).pathname

/** The command of each program in the foreground, by the first word of its file's name. @type {Record<string, (file: string, folder: string, port: number) => [string, string[], Record<string, string>?]>} */
const programs = {
  nginx: (file, folder) => ['nginx', ['-e', 'stderr', '-p', folder, '-c', file, '-g', 'daemon off;']],
  haproxy: (file) => ['haproxy', ['-db', '-f', file]],
  apache: (file) => ['apache2', ['-D', 'FOREGROUND', '-f', file]],
  varnish: (file, folder, port) => ['varnishd', ['-F', '-j', 'none', '-n', folder, '-a', `127.0.0.1:${port}`, '-f', file, '-s', 'malloc,16m', '-p', 'thread_pool_min=10']],
  lighttpd: (file) => ['lighttpd', ['-D', '-f', file]],
  squid: (file) => ['squid', ['-N', '-f', file]],
  tinyproxy: (file) => ['tinyproxy', ['-d', '-c', file]],
  privoxy: (file) => ['privoxy', ['--no-daemon', file]],
  caddy: (file, folder) => ['caddy', ['run', '--adapter', 'caddyfile', '--config', file], { HOME: folder }],
  h2o: (file) => ['h2o', ['-c', file]],
  nghttpx: (file) => ['nghttpx', [`--conf=${file}`]],
  http: (file) => [process.execPath, [file], { NODE_PATH: PACKAGES }],
  // It reads config.yaml from a folder.
  mitmproxy: (file, folder) => {
    writeFileSync(join(folder, 'config.yaml'), readFileSync(file))
    return ['mitmdump', ['--quiet', '--set', `confdir=${folder}`]]
  },
  // The file is its remap.config. Everything else comes from the package and the environment.
  trafficserver: (file, folder, port) => ['traffic_server', [], {
    PROXY_CONFIG_HTTP_SERVER_PORTS: `${port}:ip-in=127.0.0.1`,
    PROXY_CONFIG_URL_REMAP_FILENAME: file,
    PROXY_CONFIG_LOG_LOGFILE_DIR: folder,
    PROXY_CONFIG_LOCAL_STATE_DIR: folder,
    PROXY_CONFIG_LOG_LOGGING_ENABLED: '0',
  }],
}

/** Daemons are outside of the usual PATH. */
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
export async function startProxy(name, hub) {
  const folder = mkdtempSync(join(tmpdir(), 'triway-proxy-'))
  // Some programs drop root before they write here.
  chmodSync(folder, 0o777)
  const port = await freePort()
  const text = readFileSync(new URL(name, FILES), 'utf8').replaceAll('@PORT@', String(port)).replaceAll('@HUB@', String(hub)).replaceAll('@FOLDER@', folder)
  const isSecure = text.includes('certificate.pem')
  if (isSecure) makeCertificate(folder)
  const file = join(folder, name)
  writeFileSync(file, text)
  const [program, flags, more] = programs[name.split(/[-.]/)[0]](file, folder, port)
  const child = startProcess(program, flags, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...more, PATH } })
  let said = ''
  child.on('error', (error) => (said += error))
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes) => (said = (said + bytes).slice(-4000)))
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
