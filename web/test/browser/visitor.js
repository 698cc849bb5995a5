/**
 * One visitor of the chat page. Acts as a person does (types, clicks, presses keys) and sees what a person sees.
 *
 * This file knows the labels and ids of the page. It knows no hub and no wire format.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newPage, setViewport } from '../support/new-page.js'
import { SHOTS, until } from './world.js'

/** @typedef {{ kind: string, nick: string, text: string, via: string, private: boolean, time: string, classes: string, id: string }} Seen */

export class Visitor {
  /** Messages of the browser about scripts, loading and the security policy. @type {string[]} */
  complaints = []
  /** Requested addresses outside of the hub. @type {string[]} */
  outside = []

  /**
   * @param {import('./world.js').Browser} browser
   * @param {import('puppeteer-core').BrowserContext} context
   * @param {import('puppeteer-core').Page} page
   */
  constructor(browser, context, page) {
    this.browser = browser
    this.context = context
    this.page = page
  }

  /**
   * Opens the page in its own browser context. No name is given yet.
   * @param {import('./world.js').Browser} browser
   * @param {string} address
   * @param {{ width?: number, height?: number }} [size]
   */
  static async open(browser, address, { width = 1100, height = 760 } = {}) {
    const context = await browser.newContext()
    const page = await newPage(context)
    const visitor = new Visitor(browser, context, page)
    page.on('pageerror', (error) => visitor.complaints.push(String(error)))
    page.on('console', (message) => message.type() === 'error' && visitor.complaints.push(message.text()))
    page.on('dialog', (dialog) => {
      visitor.complaints.push(`a dialog was opened: ${dialog.message()}`)
      dialog.dismiss().catch(() => {})
    })
    const origin = new URL(address).origin
    page.on('request', (request) => {
      if (!request.url().startsWith(origin) && !/^(blob|data|about):/.test(request.url())) visitor.outside.push(request.url())
    })
    await setViewport(page, { width, height })
    await page.goto(address)
    return visitor
  }

  /**
   * Opens the page and enters under a name.
   * @param {import('./world.js').Browser} browser @param {string} address @param {string} name
   * @param {{ width?: number, height?: number, use?: 'ws' | 'sse' | 'poll' }} [how]
   */
  static async enter(browser, address, name, how = {}) {
    const visitor = await Visitor.open(browser, address, how)
    await visitor.giveName(name)
    await visitor.isConnected()
    if (how.use) await visitor.use(how.use)
    await visitor.isConnected(how.use)
    return visitor
  }

  /** @param {string} name */
  async giveName(name) {
    await this.sees('the question for a name', () => /** @type {HTMLDialogElement} */ (document.querySelector('#welcome')).open)
    await this.fill('#nickname', name)
    await this.page.keyboard.press('Enter')
    await this.sees('the question to go', () => !(/** @type {HTMLDialogElement} */ (document.querySelector('#welcome')).open))
  }

  /** @param {string} [transport] */
  async isConnected(transport) {
    await until(`connected by ${transport ?? 'any way'}`, () =>
      this.page.evaluate((wanted) => {
        const { state, transport } = document.documentElement.dataset
        return state === 'connected' && (wanted ? transport === wanted : transport !== '')
      }, transport), () => this.page.evaluate(() => ({ ...document.documentElement.dataset })))
  }

  /** Chooses a transport with its switch. @param {'auto' | 'ws' | 'sse' | 'poll'} way */
  async use(way) {
    await this.click(`#use input[value="${way}"]`)
  }

  /** @param {string} text */
  async say(text) {
    await this.fill('#text', text)
    await this.page.keyboard.press('Enter')
  }

  /** Clicks a name in the list of people. @param {string} name */
  async choose(name) {
    await this.seesPerson(name)
    await this.page.evaluate((name) => {
      const buttons = [...document.querySelectorAll('#people button')]
      const button = buttons.find((each) => each.querySelector('bdi')?.textContent === name)
      if (!(button instanceof HTMLElement)) throw new Error(`no person ${name} to choose`)
      button.click()
    }, name)
  }

  /** @param {string} name @param {Uint8Array | string} bytes */
  async sendFile(name, bytes) {
    const folder = mkdtempSync(join(tmpdir(), 'triway-upload-'))
    try {
      const path = join(folder, name)
      writeFileSync(path, bytes)
      const input = /** @type {import('puppeteer-core').ElementHandle<HTMLInputElement>} */ (await this.page.$('#file'))
      await input.uploadFile(path)
      // The page clears the field once it has read the files.
      await this.sees('the file to be taken', () => /** @type {HTMLInputElement} */ (document.querySelector('#file')).value === '')
      await this.sees('the file to be read', (name) => [...document.querySelectorAll('.save bdi, #trouble, .notice')].some((each) => each.textContent?.includes(name.replace(/\.[^.]*$/, ''))), name)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  /** Saves the newest file of this name through the page, and returns its bytes. @param {string} name */
  async save(name) {
    for (const old of readdirSync(this.browser.downloads)) rmSync(join(this.browser.downloads, old), { force: true })
    await this.page.evaluate((name) => {
      const links = [...document.querySelectorAll('a.save')].filter((each) => each.getAttribute('download') === name)
      const link = links.at(-1)
      if (!(link instanceof HTMLElement)) throw new Error(`no file ${name} to save`)
      link.click()
    }, name)
    await until(`${name} to be saved`, () => {
      const names = readdirSync(this.browser.downloads)
      return names.includes(name) && names.every((each) => !/\.(part|crdownload)$/.test(each))
    }, () => readdirSync(this.browser.downloads))
    return readFileSync(join(this.browser.downloads, name))
  }

  /** Returns all lines of the log. @returns {Promise<Seen[]>} */
  lines() {
    return this.page.evaluate(() => {
      const text = (/** @type {Element} */ each, /** @type {string} */ what) => each.querySelector(what)?.textContent ?? ''
      return [...document.querySelectorAll('#lines > .line')].map((each) => ({
        kind: each.classList.contains('notice') ? 'notice' : each.classList.contains('pending') ? 'pending' : each.classList.contains('failed') ? 'failed' : 'said',
        nick: text(each, '.who'),
        text: each.classList.contains('notice') ? text(each, ':scope > span') : text(each, '.text') || text(each, '.file'),
        via: text(each, '.via').replace(/^by /, ''),
        private: each.classList.contains('private'),
        time: each.querySelector('time')?.getAttribute('datetime') ?? '',
        classes: each.className,
        id: each.getAttribute('data-id') ?? '',
      }))
    })
  }

  /** Returns the texts of the messages that are sent, in order. */
  async texts() {
    return (await this.lines()).filter((line) => line.kind === 'said').map((line) => line.text)
  }

  /**
   * Waits for a line, and returns it.
   * @param {string | RegExp} text @param {string} [kind]
   */
  async seesLine(text, kind = 'said') {
    const fits = (/** @type {Seen} */ line) => line.kind === kind && (typeof text === 'string' ? line.text === text : text.test(line.text))
    return until(`a line ${text}`, async () => (await this.lines()).find(fits), async () => (await this.lines()).slice(-8))
  }

  /** @param {string} name */
  seesPerson(name) {
    return until(`${name} in the list`, async () => (await this.people()).includes(name), () => this.people())
  }

  /** @param {string} name */
  seesNoPerson(name) {
    return until(`${name} gone from the list`, async () => !(await this.people()).includes(name), () => this.people())
  }

  /** @returns {Promise<string[]>} */
  people() {
    return this.page.evaluate(() => [...document.querySelectorAll('#people bdi')].map((each) => each.textContent ?? ''))
  }

  /** @param {number} count */
  seesCount(count) {
    const look = () => this.page.evaluate(() => document.querySelector('#count')?.textContent)
    return until(`${count} online`, async () => (await look()) === `${count} online`, look)
  }

  /** @param {string} selector */
  textOf(selector) {
    return this.page.evaluate((selector) => document.querySelector(selector)?.textContent ?? '', selector)
  }

  /**
   * Waits for a condition in the page. It is evaluated from outside each time, because waiting inside a page needs
   * `eval`, which the page's policy refuses.
   * @template {unknown[]} A
   * @param {string} what @param {(...values: A) => unknown} condition @param {A} values
   */
  sees(what, condition, ...values) {
    return until(what, () => this.page.evaluate(/** @type {any} */ (condition), ...values))
  }

  /** @param {string} selector @param {string} text */
  async fill(selector, text) {
    await this.click(selector)
    await this.page.evaluate((selector) => /** @type {HTMLInputElement} */ (document.querySelector(selector)).select(), selector)
    await this.page.keyboard.press('Backspace')
    await this.page.type(selector, text)
  }

  /**
   * Clicks the middle of an element. Puppeteer's own `click` first waits for an IntersectionObserver, which
   * takes seconds in a page of Firefox that another page covers.
   * @param {string} selector
   */
  async click(selector) {
    if (this.browser.kind === 'webkit') {
      const element = await this.page.$(selector)
      assert.ok(element, `no ${selector} to click`)
      return element.click()
    }
    const middle = await this.page.evaluate((selector) => {
      const element = document.querySelector(selector)
      element?.scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: 'instant' })
      const box = element?.getBoundingClientRect()
      return box && { x: box.x + box.width / 2, y: box.y + box.height / 2 }
    }, selector)
    assert.ok(middle, `no ${selector} to click`)
    await this.page.mouse.click(middle.x, middle.y)
  }

  /** @param {string} name */
  async shot(name) {
    const path = /** @type {`${string}.png`} */ (join(SHOTS, `${this.browser.kind}-${name}.png`))
    await this.page.screenshot({ path })
  }

  /** Checks that nothing was loaded from elsewhere, and that no script or policy reported an error. @param {RegExp} [besides] */
  isClean(besides) {
    assert.deepEqual(this.outside, [])
    assert.deepEqual(this.complaints.filter((each) => !besides?.test(each)), [])
  }

  async leave() {
    await this.page.close()
    await this.context.close()
  }
}
