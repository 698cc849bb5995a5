/**
 * WebKit behind the part of puppeteer's interface that the tests use, so that one test runs in all engines. Each
 * context has its own session, because storage belongs to a session. Knows no page.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Session, startScreen } from '../support/webdriver.js'

/** The keys of WebDriver, by name. @type {Record<string, string>} */
const KEYS = { Backspace: '\ue003', Tab: '\ue004', Enter: '\ue007', Shift: '\ue008', Escape: '\ue00c', ArrowLeft: '\ue012', ArrowUp: '\ue013', ArrowRight: '\ue014', ArrowDown: '\ue015', End: '\ue010' }

export class WebKit {
  kind = 'webkit'
  theme = ''
  /** @type {Set<Context>} */
  contexts = new Set()
  downloads = mkdtempSync(join(tmpdir(), 'triway-downloads-'))
  /** A settings folder. It states where downloads go. */
  settings = mkdtempSync(join(tmpdir(), 'triway-settings-'))

  /** @param {'light' | 'dark'} scheme */
  static async start(scheme) {
    const browser = new WebKit()
    // The theme of the toolkit, which pages see as their colour scheme.
    browser.theme = scheme === 'dark' ? 'Adwaita:dark' : 'Adwaita'
    writeFileSync(join(browser.settings, 'user-dirs.dirs'), `XDG_DOWNLOAD_DIR="${browser.downloads}"\n`)
    return browser
  }

  async newContext() {
    // Each context has its own screen: a window that another one covers is not drawn and has no screenshot.
    const screen = await startScreen()
    const context = new Context(await Session.start(screen.name, { XDG_CONFIG_HOME: this.settings, GTK_THEME: this.theme }), () => {
      this.contexts.delete(context)
      screen.end()
    })
    this.contexts.add(context)
    return context
  }

  async stop() {
    for (const context of this.contexts) await context.close()
    for (const folder of [this.downloads, this.settings]) rmSync(folder, { recursive: true, force: true })
  }
}

class Context {
  /** WebDriver runs one command at a time, in the window that was chosen last. @type {Promise<any>} */
  #turn = Promise.resolve()
  #chosen = ''
  #hasFirst = false

  /** @param {Session} session @param {() => void} onClose */
  constructor(session, onClose) {
    this.session = session
    this.onClose = onClose
  }

  /**
   * @template T
   * @param {string} window @param {(session: Session) => Promise<T>} act @returns {Promise<T>}
   */
  within(window, act) {
    const acted = this.#turn.then(async () => {
      if (window && window !== this.#chosen) await this.session.ask('POST', '/window', { handle: window })
      this.#chosen = window || this.#chosen
      return act(this.session)
    })
    this.#turn = acted.catch(() => {})
    return acted
  }

  async newPage() {
    const handle = await this.within('', async (session) => {
      // A session starts with one empty window.
      if (!this.#hasFirst) return session.ask('GET', '/window')
      return (await session.ask('POST', '/window/new', { type: 'tab' })).handle
    })
    this.#hasFirst = true
    return new Page(this, handle)
  }

  async close() {
    await this.session.end()
    this.onClose()
  }
}

class Page {
  keyboard

  /** @param {Context} context @param {string} handle */
  constructor(context, handle) {
    this.context = context
    this.handle = handle
    this.keyboard = {
      press: (/** @type {string} */ key) => this.#keys([{ type: 'keyDown', value: KEYS[key] ?? key }, { type: 'keyUp', value: KEYS[key] ?? key }]),
      down: (/** @type {string} */ key) => this.#keys([{ type: 'keyDown', value: KEYS[key] ?? key }]),
      up: (/** @type {string} */ key) => this.#keys([{ type: 'keyUp', value: KEYS[key] ?? key }]),
      type: (/** @type {string} */ text) => this.#keys([...text].flatMap((value) => [{ type: 'keyDown', value }, { type: 'keyUp', value }])),
    }
  }

  /** @template T @param {(session: Session) => Promise<T>} act */
  #do(act) {
    return this.context.within(this.handle, act)
  }

  /** @param {any[]} actions */
  #keys(actions) {
    return this.#do((session) => session.ask('POST', '/actions', { actions: [{ type: 'key', id: 'keys', actions }] }))
  }

  /** This driver reports no errors of pages. */
  on() {}

  /** @param {string} url */
  goto(url) {
    return this.#do((session) => session.ask('POST', '/url', { url }))
  }

  goBack() {
    return this.#do((session) => session.ask('POST', '/back', {}))
  }

  url() {
    return this.#do((session) => session.ask('GET', '/url'))
  }

  /** @param {string | ((...args: any[]) => any)} what @param {any[]} args @returns {Promise<any>} */
  evaluate(what, ...args) {
    return this.#do((session) => session.evaluate(typeof what === 'string' ? what : `(${what})(...${JSON.stringify(args)})`))
  }

  /** @param {{width: number, height: number}} size of the window, a little more than of the page */
  setViewport({ width, height }) {
    return this.#do((session) => session.ask('POST', '/window/rect', { width, height }))
  }

  /** @param {string} selector */
  async $(selector) {
    const element = await this.#do((session) => session.find(selector))
    if (!element) return null
    return {
      click: () => this.#do((session) => session.ask('POST', `/element/${element}/click`, {})),
      uploadFile: (/** @type {string} */ path) => this.#do((session) => session.ask('POST', `/element/${element}/value`, { text: path })),
    }
  }

  /** @param {string} selector @param {string} text */
  async type(selector, text) {
    await this.#do(async (session) => session.ask('POST', `/element/${await session.find(selector)}/value`, { text }))
  }

  bringToFront() {
    return this.#do(() => Promise.resolve())
  }

  /** @param {{path: string}} where */
  async screenshot({ path }) {
    writeFileSync(path, Buffer.from(await this.#do((session) => session.ask('GET', '/screenshot')), 'base64'))
  }

  close() {
    return this.#do((session) => session.ask('DELETE', '/window'))
  }
}
