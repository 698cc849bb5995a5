/**
 * WebKit, driven by Debian's WebKitWebDriver on a virtual display. A driver has one session, so its browser has one
 * storage. Knows the WebDriver protocol, but no page and no path.
 */
import { existsSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { startProcess } from './ending.js'
import { freePort } from './free-port.js'

/** The time limit of a start, in ms: a cold start on busy cores. */
const START_MS = 30_000
/** The interval of the checks whether the driver listens, in ms. */
const LOOK_EVERY_MS = 20
/** The time limit of a call, in ms: the longest one is a hundred connects over a long distance. */
const SCRIPT_MS = 300_000
/** The key of an element in the WebDriver standard. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'

/** Finds the minimal browser that is installed with the driver. */
function miniBrowser() {
  for (const folder of readdirSync('/usr/lib')) {
    const path = `/usr/lib/${folder}/webkit2gtk-4.1/MiniBrowser`
    if (existsSync(path)) return path
  }
  throw new Error('no MiniBrowser: install webkit2gtk-driver')
}

/** @returns {Promise<{name: string, end: () => void}>} a display */
export async function startScreen() {
  const screen = startProcess('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
  const name = await new Promise((resolve, reject) => {
    screen.on('error', reject)
    screen.stdio[3]?.once('data', (/** @type {Buffer} */ bytes) => resolve(`:${String(bytes).trim()}`))
  })
  return { name, end: () => screen.kill() }
}

/** @param {number} port */
async function listens(port) {
  const end = Date.now() + START_MS
  for (;;) {
    const isThere = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true))
      socket.on('error', () => resolve(false)).on('connect', () => socket.destroy())
    })
    if (isThere) return
    if (Date.now() > end) throw new Error('WebKitWebDriver does not listen')
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

export class Session {
  #driver
  #base
  #path = ''

  /** @param {import('node:child_process').ChildProcess} driver @param {number} port */
  constructor(driver, port) {
    this.#driver = driver
    this.#base = `http://127.0.0.1:${port}`
  }

  /** @param {string} display @param {Record<string, string>} [more] of the environment */
  static async start(display, more) {
    const port = await freePort()
    const environment = { ...process.env, DISPLAY: display, GDK_BACKEND: 'x11', NO_AT_BRIDGE: '1', LIBGL_ALWAYS_SOFTWARE: '1', ...more }
    // The driver leads its own process group, so that the browser ends with it.
    const driver = startProcess('WebKitWebDriver', [`--port=${port}`], { stdio: 'ignore', env: environment, detached: true })
    await listens(port)
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

  /** @param {string} selector @returns {Promise<string | null>} an element's name in this session */
  async find(selector) {
    const [found] = await this.ask('POST', '/elements', { using: 'css selector', value: selector })
    return found?.[ELEMENT] ?? null
  }

  /** Returns the process group of driver and browser. */
  get group() {
    return this.#driver.pid
  }

  async end() {
    await this.ask('DELETE', '').catch(() => {})
    if (this.#driver.pid) {
      try {
        process.kill(-this.#driver.pid, 'SIGKILL')
      } catch {
        // It ended by itself.
      }
    }
  }
}
