/**
 * The support of the browser tests: the real hub as a process, real browsers, and waits with a deadline instead of
 * sleeps.
 *
 * This file knows no chat page; `visitor.js` does.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import puppeteer from 'puppeteer-core'
import { startProcess } from '../support/ending.js'
import { WebKit } from './webkit.js'

/** The time limit of every wait, in ms: far more than a busy machine needs. */
const DEADLINE_MS = 20_000
/** The interval of the checks of a condition, in ms. */
const LOOK_EVERY_MS = 40
/** The time limit for the start of a browser or the hub, in ms: a cold Firefox on two busy cores takes 20 s. */
const START_MS = 90_000

const root = new URL('../../../', import.meta.url)
/** Screenshots of the pages, for review; git ignores them. */
export const SHOTS = fileURLToPath(new URL('../shots/', import.meta.url))
mkdirSync(SHOTS, { recursive: true })

/** The browsers that the tests use. `TRIWAY_BROWSERS=chromium` selects only that one. */
export const BROWSERS = (process.env.TRIWAY_BROWSERS ?? 'chromium,firefox,webkit').split(',')

/**
 * Waits until `look` returns a truthy value.
 * @template T
 * @param {string} what  named in the error after the deadline
 * @param {() => T | Promise<T>} look
 * @param {() => unknown} [seen]  what is there instead, for the error
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, look, seen) {
  const end = Date.now() + DEADLINE_MS
  for (;;) {
    const found = await look()
    if (found) return /** @type {NonNullable<T>} */ (found)
    if (Date.now() > end) throw new Error(`waited ${DEADLINE_MS} ms in vain for ${what}${seen ? `; there was ${JSON.stringify(await seen())}` : ''}`)
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS))
  }
}

/** A hub process for one group of tests, on a port that the system chooses. */
export class Hub {
  #process
  address = ''

  /** @param {import('node:child_process').ChildProcess} process */
  constructor(process) {
    this.#process = process
  }

  /**
   * @param {string[]} [flags]
   * @param {string} [listen]
   */
  static async start(flags = [], listen = '127.0.0.1:0') {
    const binary = process.env.TRIWAY_BIN ?? fileURLToPath(new URL('target/debug/triway', root))
    if (!existsSync(binary)) throw new Error('no triway binary: run cargo build first, or name one in TRIWAY_BIN')
    const child = startProcess(binary, ['serve', '--listen', listen, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] })
    const hub = new Hub(child)
    let told = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes) => (told = (told + bytes).slice(-20_000)))
    await until('the hub to say its address', () => {
      if (child.exitCode !== null) throw new Error(`the hub ended with ${child.exitCode}: ${told}`)
      return (hub.address = /http:\/\/(127\.0\.0\.1|localhost):\d+/.exec(told)?.[0] ?? '')
    })
    return hub
  }

  get port() {
    return Number(new URL(this.address).port)
  }

  /** Ends the process, and waits until it has ended. @param {NodeJS.Signals} [signal] */
  async stop(signal = 'SIGKILL') {
    const ended = new Promise((done) => this.#process.once('exit', done))
    if (this.#process.exitCode === null && this.#process.kill(signal)) await ended
  }

  /**
   * Publishes with a plain request, without the client.
   * @param {string} room @param {string | Uint8Array<ArrayBuffer>} data @param {string} [type]
   */
  async publish(room, data, type = 'text/plain') {
    const answer = await fetch(`${this.address}/pub/${encodeURIComponent(room)}`, { method: 'POST', headers: { 'content-type': type }, body: data })
    if (answer.status !== 201) throw new Error(`publish: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
}

const CHROMIUM_FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
]

/** Downloads are saved without a prompt, and the browser contacts no other site. */
const FIREFOX_PREFERENCES = {
  'browser.download.folderList': 2,
  'browser.download.useDownloadDir': true,
  'browser.download.always_ask_before_handling_new_types': false,
  'browser.download.alwaysOpenPanel': false,
  'browser.helperApps.neverAsk.saveToDisk': 'application/octet-stream',
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'browser.safebrowsing.downloads.enabled': false,
  // Each page gets its own process when it is opened, so that one can be killed.
  'dom.ipc.processCount.webIsolated': 20,
  'dom.ipc.processPrelaunch.enabled': false,
}

/** A real browser. Each visitor gets its own context, with its own storage and cookies. */
export class Browser {
  /** @param {string} kind @param {import('puppeteer-core').Browser} browser @param {string} downloads */
  constructor(kind, browser, downloads) {
    this.kind = kind
    this.browser = browser
    this.downloads = downloads
  }

  /**
   * @param {string} kind  chromium, firefox or webkit
   * @param {{scheme?: 'light' | 'dark', flags?: string[], without?: string[], preferences?: Record<string, any>}} [how]  `scheme` is for Firefox and WebKit, whose
   *   colours are set at the start; `flags` are added for Chromium, `without` are flags of puppeteer to leave out, and `preferences` are added for Firefox
   */
  static async start(kind, { scheme = 'light', flags = [], without = [], preferences = {} } = {}) {
    if (kind === 'webkit') return /** @type {Browser} */ (/** @type {unknown} */ (await WebKit.start(scheme)))
    const downloads = mkdtempSync(join(tmpdir(), 'triway-downloads-'))
    const isFirefox = kind === 'firefox'
    const executablePath = isFirefox
      ? found('FIREFOX', ['firefox-esr', 'firefox'])
      : found('CHROMIUM', ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'])
    const browser = await puppeteer.launch({
      browser: isFirefox ? 'firefox' : 'chrome',
      executablePath,
      headless: true,
      timeout: START_MS,
      protocolTimeout: START_MS,
      args: isFirefox ? [] : [...CHROMIUM_FLAGS, ...flags],
      ignoreDefaultArgs: isFirefox ? false : without,
      extraPrefsFirefox: {
        ...FIREFOX_PREFERENCES,
        ...preferences,
        'browser.download.dir': downloads,
        'layout.css.prefers-color-scheme.content-override': scheme === 'dark' ? 0 : 1,
      },
    })
    return new Browser(kind, browser, downloads)
  }

  async newContext() {
    if (this.kind === 'firefox') return this.browser.createBrowserContext()
    return this.browser.createBrowserContext({ downloadBehavior: { policy: 'allow', downloadPath: this.downloads } })
  }

  async stop() {
    await this.browser.close()
    rmSync(this.downloads, { recursive: true, force: true })
  }
}

/**
 * Finds a program that the environment names, or one on the PATH.
 * @param {string} variable @param {string[]} names
 */
function found(variable, names) {
  const named = process.env[variable]
  if (named) return named
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of names) if (existsSync(join(folder, name))) return join(folder, name)
  }
  throw new Error(`no ${names[0]} on the PATH: install it, name it in ${variable}, or choose others by TRIWAY_BROWSERS`)
}
