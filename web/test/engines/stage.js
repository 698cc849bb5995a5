/**
 * Runs the tests of this folder in each engine. They share one browser; each has its own hub and site. Knows no
 * test.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Browser, until } from '../browser/world.js'
import { newPage } from '../support/new-page.js'
import { family, workOf } from './processes.js'
import { World } from './site.js'

/**
 * Flags of Puppeteer that are left out. They keep hidden pages awake, but here pages must be throttled as for
 * people.
 */
const DROWSY_WITHOUT = ['--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding']
/**
 * Chromium throttles the timers of a page to one run a minute once it has been hidden for five minutes; here, after
 * a second.
 */
const DROWSY_FLAGS = ['--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1']

/**
 * @typedef {object} Stage
 * @property {string} kind of engine
 * @property {World} world
 * @property {any} browser
 * @property {() => Promise<Desk>} desk a person's browser: pages with one storage
 * @property {(figure: string) => void} note reports what was measured
 */

/** Work that identifies a process, in ms. */
const BUSY_MS = 500
/** Matches the command lines of page processes in the three engines. */
const PAGE_PROCESS = /--type=renderer|\btab\b|WebKitWebProcess/

/** The browser of one person. */
export class Desk {
  #hasOne
  /** @param {any} context @param {World} world */
  constructor(context, world) {
    this.context = context
    this.world = world
  }

  /** @returns {Promise<Seat>} a page of the site, in front */
  async page() {
    const page = await newPage(this.context)
    await page.goto(this.world.site.address + '/')
    return new Seat(page, this.world, this)
  }

  /** Returns the first process of this browser. @returns {number} */
  get process() {
    return this.context.session?.group ?? this.context.browser().process().pid
  }

  leave() {
    return this.context.close()
  }
}

/** One page, and the guests in it by name. */
export class Seat {
  /** @param {any} page @param {World} world @param {Desk} desk */
  constructor(page, world, desk) {
    this.page = page
    this.world = world
    this.desk = desk
  }

  /** Waits until its script has run. A driver may report a page as loaded too early. */
  async isThere() {
    await until('the page', () => this.page.evaluate(() => 'come' in globalThis))
  }

  /** Returns the process that runs this page. No engine reports it, so it is identified by its CPU time. @returns {Promise<number>} */
  async process() {
    const before = new Map(family(this.desk.process, PAGE_PROCESS).map((one) => [one, workOf(one)]))
    return until('one process that works', async () => {
      await this.page.evaluate((/** @type {number} */ ms) => {
        for (const end = performance.now() + ms; performance.now() < end; );
      }, BUSY_MS)
      const [most, next] = [...before].map(([one, work]) => ({ one, ms: workOf(one) - work })).sort((one, other) => other.ms - one.ms)
      return most.ms > BUSY_MS / 2 && most.ms > 2 * (next?.ms ?? 0) && most.one
    })
  }

  /**
   * @param {string} who @param {any} [options] of connect
   * @param {any} [reads]
   */
  async come(who, options = {}, reads = { channel: 'numbers', since: 'all' }) {
    await this.isThere()
    await this.page.evaluate((/** @type {any[]} */ ...all) => /** @type {any} */ (globalThis).come(...all), who, options, reads)
  }

  /** @param {'dedicated' | 'shared'} kind @param {string} who @param {any} [options] @param {any} [reads] */
  async comeInWorker(kind, who, options = {}, reads = { channel: 'numbers', since: 'all' }) {
    await this.isThere()
    await this.page.evaluate((/** @type {any[]} */ ...all) => /** @type {any} */ (globalThis).comeInWorker(...all), kind, who, options, reads)
  }

  /** @param {string} who @param {string} name @param {any[]} args @returns {Promise<any>} */
  call(who, name, ...args) {
    return this.page.evaluate((/** @type {any[]} */ ...all) => /** @type {any} */ (globalThis).call(...all), who, name, ...args)
  }

  /** @param {string} who @param {string} [transport] */
  async isConnected(who, transport) {
    await this.sees(who, `${who} connected by ${transport ?? 'any way'}`, (now) => now.state === 'connected' && now.transport && (!transport || now.transport === transport))
  }

  /** @param {string} who @param {number} count that were said so far */
  async hasHeard(who, count) {
    await this.sees(who, `${who} to have heard ${count}`, ({ last }) => last >= count)
  }

  /** @param {string} who @param {string} what @param {(now: any) => any} fits */
  async sees(who, what, fits) {
    await until(what, async () => fits(await this.call(who, 'glance')), async () => [await this.call(who, 'glance'), await this.call(who, 'report')])
  }

  /** Returns the events of the page itself. @returns {Promise<{shown: string[], shownAt: number, visibility: string[]}>} */
  async been() {
    await this.isThere()
    return this.page.evaluate(() => /** @type {any} */ (globalThis).page)
  }

  /** Checks that each number arrived once and in order, without a gap. @param {string} who @param {number} count */
  async isWhole(who, count) {
    await this.hasHeard(who, count)
    const { numbers, gaps } = await this.call(who, 'seen')
    isWhole(numbers, count, who)
    assert.deepEqual(gaps, [])
  }
}

/** @param {number[]} numbers @param {number} count @param {string} who */
export function isWhole(numbers, count, who) {
  const wrong = numbers.findIndex((n, at) => n !== at + 1)
  assert.equal(wrong, -1, `${who}: ${numbers.slice(Math.max(0, wrong - 3), wrong + 4)} around the ${wrong + 1}th`)
  assert.equal(numbers.length, count, who)
}

/** Returns everything but the numbers in the hub's log of a channel. @param {World} world @param {string} channel */
export async function logged(world, channel) {
  const found = []
  for (let since = 'all', more = true; more; ) {
    const page = await (await fetch(`${world.hub.address}/history/${channel}?since=${since}&limit=1000`)).json()
    for (const { type, data } of page.frames) if (type === 'event' && typeof data?.n !== 'number') found.push(data)
    ;({ cursor: since, more } = page)
  }
  return found
}

/**
 * @param {string[]} kinds of engines
 * @param {Record<string, (stage: Stage) => Promise<string | void>>} stories by title; a test that an engine cannot run returns the reason
 */
export function tell(kinds, stories) {
  const wanted = new RegExp(process.env.TRIWAY_STORY ?? '')
  for (const kind of kinds) {
    describe(`in ${kind}`, () => {
      /** @type {any} */
      let browser
      before(async () => {
        browser = await Browser.start(kind, { flags: DROWSY_FLAGS, without: DROWSY_WITHOUT })
      })
      after(() => browser?.stop())
      for (const [name, story] of Object.entries(stories)) {
        if (wanted.test(name)) test(name, async (t) => {
          const world = await World.start()
          /** @type {Desk[]} */
          const desks = []
          const desk = async () => {
            desks.push(new Desk(await browser.newContext(), world))
            return /** @type {Desk} */ (desks.at(-1))
          }
          try {
            const reason = await story({ kind, world, browser, desk, note: (figure) => t.diagnostic(`${kind}: ${figure}`) })
            if (reason) t.skip(reason)
          } finally {
            for (const each of desks) await each.leave().catch(() => {})
            await world.stop()
          }
        })
      }
    })
  }
}
