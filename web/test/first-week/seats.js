/**
 * The entry points: threads of Node, and in each browser a page, a module worker, a shared worker, and tabs that
 * share. Each runs one scenario at a time. Knows how scenarios are sent, and no rules.
 */
import { Worker } from 'node:worker_threads'
import { Browser } from '../browser/world.js'
import { newPage } from '../support/new-page.js'

/** Threads of Node that run scenarios at the same time: a scenario mostly waits. */
const NODE_THREADS = 8
/** How long a seat may take beyond the limit of a scenario before it counts as frozen, in ms. */
const FROZEN_MS = 5000
/** Memory limit of a thread, in MB: a loop that grows a collection ends the thread, and not the machine. */
const THREAD_MB = 512
/** An origin that is not loopback for browsers. Both browsers map it to this machine. */
export const OUTSIDE = 'outside.example'

/** @typedef {import('./kit.js').Setting} Setting @typedef {{checks: number, notes: string[], error?: string}} Result */

/** Runs tasks one after the other. */
class Line {
  /** @type {Promise<any>} */
  #last = Promise.resolve()

  /** @template T @param {() => Promise<T>} task @returns {Promise<T>} */
  then(task) {
    const done = this.#last.then(task)
    this.#last = done.catch(() => {})
    return done
  }
}

/** @param {Promise<any>} running @param {number} ms @returns {Promise<Result>} */
function unfrozen(running, ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ checks: 1, notes: [], error: `frozen: no answer after ${ms} ms` }), ms)
    running
      .then(resolve, (error) => resolve({ checks: 1, notes: [], error: `the entry point ended: ${error?.message ?? error}` }))
      .finally(() => clearTimeout(timer))
  })
}

class NodeThread {
  line = new Line()
  /** @type {Worker | undefined} */
  #worker

  /** @param {string} source @param {Setting} setting @param {(name: string, args: any[]) => Promise<any>} control */
  run(source, setting, control) {
    return this.line.then(async () => {
      const worker = (this.#worker ??= new Worker(new URL('guest-worker.js', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: THREAD_MB } }))
      const done = new Promise((resolve, reject) => {
        worker.removeAllListeners()
        worker.on('error', reject).on('exit', () => reject(new Error('the thread ended')))
        worker.on('message', async ({ result, id, name, args }) => {
          if (result) resolve(result)
          if (!name) return
          const answer = await control(name, args).then((value) => ({ value }), (error) => ({ error: String(error) }))
          worker.postMessage({ id, ...answer })
        })
      })
      const { control: _, ...plain } = setting
      worker.postMessage({ source, setting: plain })
      const result = await unfrozen(done, setting.limitMs + FROZEN_MS)
      if (/^(frozen|the entry point)/.test(result.error ?? '')) await this.stop()
      return result
    })
  }

  async stop() {
    this.#worker?.removeAllListeners()
    await this.#worker?.terminate()
    this.#worker = undefined
  }
}

export class NodeSeats {
  #threads = Array.from({ length: NODE_THREADS }, () => new NodeThread())
  #next = 0

  /** @param {string} _seat @param {string} source @param {Setting} setting @param {any} control */
  run(_seat, source, setting, control) {
    return this.#threads[this.#next++ % NODE_THREADS].run(source, setting, control)
  }

  async stop() {
    for (const thread of this.#threads) await thread.stop()
  }
}

/** The function that runs in the page, for each kind of seat. */
const IN_PAGE = {
  page: (/** @type {any[]} */ source, /** @type {any} */ setting) => /** @type {any} */ (globalThis).run(source, setting),
  worker: (/** @type {string} */ source, /** @type {Setting} */ setting) => /** @type {any} */ (globalThis).runInWorker('dedicated', source, setting),
  shared: (/** @type {string} */ source, /** @type {Setting} */ setting) => /** @type {any} */ (globalThis).runInWorker('shared', source, setting),
}

/** One browser. It starts when it is first used. */
export class BrowserSeats {
  /** @type {Promise<any> | undefined} */
  #started
  /** @type {Record<string, Line>} */
  #lines = {}
  /** @type {Map<string, Promise<any>>} */
  #pages = new Map()

  /** @param {'chromium' | 'firefox'} kind @param {string} site */
  constructor(kind, site) {
    this.kind = kind
    this.site = site
  }

  /** @returns {Promise<any>} */
  browser() {
    const isFirefox = this.kind === 'firefox'
    return (this.#started ??= Browser.start(this.kind, {
      flags: [`--host-resolver-rules=MAP ${OUTSIDE} 127.0.0.1`, '--js-flags=--expose-gc', '--enable-precise-memory-info'],
      ...(isFirefox && { preferences: { 'network.dns.localDomains': OUTSIDE } }),
    }))
  }

  /** Returns a page by name, and opens it when it is first used. Each of them has its own storage. @param {string} name */
  #page(name, host = '127.0.0.1') {
    if (!this.#pages.has(name)) {
      this.#pages.set(name, (async () => {
        const context = await (await this.browser()).newContext()
        const page = await newPage(context)
        await page.goto(this.site.replace('127.0.0.1', host) + '/')
        await page.waitForFunction('"run" in globalThis')
        return page
      })())
    }
    return /** @type {Promise<any>} */ (this.#pages.get(name))
  }

  /** Returns a second page of the same browser context, which shares the storage of the first. @param {string} name @param {string} beside */
  #pageBeside(name, beside) {
    if (!this.#pages.has(name)) {
      this.#pages.set(name, (async () => {
        const page = await newPage((await this.#page(beside)).browserContext())
        await page.goto(this.site + '/')
        await page.waitForFunction('"run" in globalThis')
        return page
      })())
    }
    return /** @type {Promise<any>} */ (this.#pages.get(name))
  }

  /** @param {string} seat @param {string} source @param {Setting} setting @returns {Promise<Result>} */
  run(seat, source, setting) {
    const isShared = seat === 'tab' || seat === 'lead'
    const line = (this.#lines[isShared ? 'tabs' : seat] ??= new Line())
    return line.then(async () => {
      const running = isShared ? this.#runShared(seat, source, setting) : this.#runAlone(seat, source, setting)
      const result = await unfrozen(running, setting.limitMs + 2 * FROZEN_MS)
      if (/^(frozen|the entry point)/.test(result.error ?? '')) await this.#renew()
      return result
    })
  }

  /** @param {string} seat @param {string} source @param {Setting} setting */
  async #runAlone(seat, source, setting) {
    const page = await (seat === 'outside' ? this.#page('outside', OUTSIDE) : this.#page(seat))
    const inPage = IN_PAGE[/** @type {'page'} */ (seat === 'outside' ? 'page' : seat)]
    return page.evaluate(inPage, source, setting)
  }

  /** Runs in the tab that reads for all (`lead`), or in one that does not (`tab`). @param {string} seat @param {string} source @param {Setting} setting */
  async #runShared(seat, source, setting) {
    const first = await this.#page('tabs')
    const second = await this.#pageBeside('tabs 2', 'tabs')
    const shared = { ...setting, share: true }
    const come = (/** @type {any} */ given) => /** @type {any} */ (globalThis).come(given)
    if (seat === 'tab') await first.evaluate(come, shared)
    const running = second.evaluate(IN_PAGE.page, source, shared)
    if (seat === 'lead') await first.evaluate(come, shared).catch(() => {})
    try {
      return await running
    } finally {
      await first.evaluate(() => /** @type {any} */ (globalThis).go())
    }
  }

  /** Closes all pages of this browser after one of them froze. They are opened again when they are used. */
  async #renew() {
    const pages = [...this.#pages.values()]
    this.#pages.clear()
    for (const page of pages) (await page.catch(() => {}))?.close().catch(() => {})
  }

  async stop() {
    await (await this.#started?.catch(() => {}))?.stop()
  }
}

