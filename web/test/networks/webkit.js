/**
 * WebKit, as Debian's WebKitWebDriver drives it on a display that nobody sees. One driver for each
 * visit, since a driver has one session. Knows WebDriver's words and no path.
 */
import { spawn } from 'node:child_process'
import { readdirSync, existsSync } from 'node:fs'
import { connect } from 'node:net'
import { callSeat, pageOf, takeSeat } from './engines.js'
import { freePort } from './free-port.js'
import { until } from './journey.js'

/** A cold start on busy cores, in ms. */
const START_MS = 30_000
/** The longest call: a hundred connects far away, in ms. */
const SCRIPT_MS = 300_000

/** The browser without a face that comes with the driver. */
function miniBrowser() {
  for (const folder of readdirSync('/usr/lib')) {
    const path = `/usr/lib/${folder}/webkit2gtk-4.1/MiniBrowser`
    if (existsSync(path)) return path
  }
  throw new Error('no MiniBrowser: install webkit2gtk-driver')
}

/** @returns {Promise<import('./engines.js').Engine>} */
export async function startWebKit() {
  const screen = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1024x768x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
  const display = await new Promise((resolve, reject) => {
    screen.on('error', reject)
    screen.stdio[3]?.once('data', (/** @type {Buffer} */ bytes) => resolve(`:${String(bytes).trim()}`))
  })
  return {
    name: 'webkit',
    visit: (address, options, memory) => visit(display, address, options, memory),
    async stop() {
      screen.kill()
    },
  }
}

class Session {
  #driver
  #base
  #path = ''

  /** @param {import('node:child_process').ChildProcess} driver @param {number} port */
  constructor(driver, port) {
    this.#driver = driver
    this.#base = `http://127.0.0.1:${port}`
  }

  /** @param {string} display */
  static async start(display) {
    const port = await freePort()
    const environment = { ...process.env, DISPLAY: display, GDK_BACKEND: 'x11', NO_AT_BRIDGE: '1', LIBGL_ALWAYS_SOFTWARE: '1', WEBKIT_DISABLE_COMPOSITING_MODE: '1' }
    // Its own group, so that the browser ends with its driver.
    const driver = spawn('WebKitWebDriver', [`--port=${port}`], { stdio: 'ignore', env: environment, detached: true })
    const isThere = () => new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true))
      socket.on('error', () => resolve(false)).on('connect', () => socket.destroy())
    })
    if (!(await until(isThere, START_MS))) throw new Error('WebKitWebDriver does not listen')
    const session = new Session(driver, port)
    const options = { 'webkitgtk:browserOptions': { binary: miniBrowser(), args: ['--automation'] }, acceptInsecureCerts: true }
    const { sessionId } = await session.ask('POST', '/session', { capabilities: { alwaysMatch: options } })
    session.#path = `/session/${sessionId}`
    await session.ask('POST', '/timeouts', { script: SCRIPT_MS })
    return session
  }

  /** @param {string} method @param {string} path @param {any} [body] */
  async ask(method, path, body) {
    const answer = await fetch(this.#base + this.#path + path, { method, body: body && JSON.stringify(body) })
    const { value } = await answer.json()
    if (value?.error) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`)
    return value
  }

  /** @param {string} expression whose value, or promise of one, can be JSON */
  async evaluate(expression) {
    const script = `const done = arguments[arguments.length - 1]
      Promise.resolve().then(() => (${expression})).then((value) => done({ value }), (error) => done({ error: String(error) }))`
    const { value, error } = await this.ask('POST', '/execute/async', { script, args: [] })
    if (error) throw new Error(error)
    return value
  }

  async end() {
    await this.ask('DELETE', '').catch(() => {})
    if (this.#driver.pid) {
      try {
        process.kill(-this.#driver.pid, 'SIGKILL')
      } catch {
        // It went by itself.
      }
    }
  }
}

/** @param {string} display @param {string} address @param {any} [options] @param {string} [memory] */
async function visit(display, address, { pageAt = address, ...options } = {}, memory) {
  const session = await Session.start(display)
  try {
    await session.ask('POST', '/url', { url: pageOf(pageAt) })
    await session.evaluate(takeSeat(address, options, memory))
  } catch (error) {
    await session.end()
    throw error
  }
  return {
    call: (/** @type {string} */ name, /** @type {any[]} */ ...args) => session.evaluate(callSeat(name, args)),
    leave: () => session.end(),
  }
}
