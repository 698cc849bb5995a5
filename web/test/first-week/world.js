/**
 * The support of the tests in this folder: real hubs, a middlebox for each run, a site for the pages, and `rule`,
 * which runs one scenario over transports and entry points. Knows no rule.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, describe, test } from 'node:test'
import { BROWSERS } from '../browser/world.js'
import { startServer } from '../server.js'
import { freePort } from '../support/free-port.js'
import { Middlebox } from '../support/middlebox.js'
import { newPage } from '../support/new-page.js'
import { BrowserSeats, NodeSeats, OUTSIDE } from './seats.js'

export const TRANSPORTS = /** @type {const} */ (['ws', 'sse', 'poll'])
/** Set by `--all` of scripts/test: runs every rule in every seat over every transport. */
export const ALL = process.env.TRIWAY_ALL === '1'
export const STORY = new RegExp(process.env.TRIWAY_STORY ?? '')
const BROWSER_SEATS = ['page', 'worker', 'shared', 'tab', 'lead']
/** The time limit of one scenario, in ms. */
const LIMIT_MS = 20_000
/** The interval of a voice's messages, in ms. */
const SPEAK_EVERY_MS = 10
/** The time limit of a wait in a story of several pages, in ms. */
const STORY_WAIT_MS = 10_000
/** Rules of one subject that run at the same time. With `--all`, each has many more seats. */
const AT_ONCE = ALL ? 4 : 6

/**
 * @typedef {object} How
 * @property {readonly string[]} [transports] default all three
 * @property {string[]} [seats] default all seats of the browsers; `node` is always among them unless `node: false`
 * @property {boolean} [node]
 * @property {string[]} [flags] of the hub; `OUTSIDE` is the origin of the seat `outside`
 * @property {boolean} [own] a hub process of its own, for scenarios that stop it
 * @property {any[]} [cases] passed to the scenario one by one
 * @property {number} [limitMs]
 * @property {boolean} [long] only with --all
 * @property {boolean} [wide] the rule depends on browsers: it runs in every seat and over every transport of one browser, even without --all
 */

const file = (/** @type {string} */ path) => readFileSync(new URL(path, import.meta.url))
const PAGE = '<!doctype html><meta charset="utf-8"><title>first week</title><link rel="icon" href="data:,"><script type="module" src="/guest-page.js"></script>'

/** The origin of the pages. It also forwards the scenarios' requests to the hub's side. */
class Site {
  /** @type {Map<string, (name: string, args: any[]) => Promise<any>>} */
  controls = new Map()
  /** Additional files, by path. @type {Map<string, string>} */
  files = new Map()
  #server = createServer((request, response) => this.#answer(request, response))

  async start() {
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve(0)))
    this.#server.unref()
    return this
  }

  get address() {
    return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (this.#server.address()).port}`
  }

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
  async #answer(request, response) {
    const [path] = /** @type {string} */ (request.url).split('?')
    const say = (/** @type {string | Buffer} */ body, type = 'text/javascript') => response.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache' }).end(body)
    if (path.startsWith('/control/')) {
      let body = ''
      for await (const piece of request) body += piece
      const { name, args } = JSON.parse(body)
      const control = this.controls.get(path.slice(9))
      const answer = await (control ? control(name, args) : Promise.reject(new Error('this run is over'))).then((value) => ({ value }), (error) => ({ error: String(error) }))
      return say(JSON.stringify(answer), 'application/json')
    }
    if (/^\/(kit|guest-page|guest-worker|leak-cycles)\.js$/.test(path)) return say(file('.' + path))
    if (/^\/dist\/[\w-]+\.m?js$/.test(path)) return say(file('../..' + path))
    if (path === '/') return say(PAGE, 'text/html')
    const more = this.files.get(path)
    if (more) return say(more, path.endsWith('.html') ? 'text/html' : 'text/javascript')
    response.writeHead(404).end()
  }

  stop() {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

/** The values that all subjects of this process share. They are created when they are first used. */
const shared = {
  /** @type {Promise<Site> | undefined} */
  site: undefined,
  node: new NodeSeats(),
  /** @type {Map<string, BrowserSeats>} */
  browsers: new Map(),
  /** Hubs by their flags. @type {Map<string, Promise<any>>} */
  hubs: new Map(),
  /** Checks by item. @type {Record<string, number>} */
  tally: {},
  runs: 0,
  rules: 0,
  /** @type {(() => void)[]} */
  rulesOfSubject: [],
}

after(async () => {
  await shared.node.stop()
  for (const browser of shared.browsers.values()) await browser.stop()
  for (const hub of shared.hubs.values()) await (await hub).stop()
  ;(await shared.site)?.stop()
  console.log('checks by item: ' + JSON.stringify(shared.tally))
})

export const site = () => (shared.site ??= new Site().start())

/** @param {number} item @param {number} checks */
export function tallied(item, checks) {
  shared.tally[item] = (shared.tally[item] ?? 0) + checks
}

/** @param {string[]} flags */
function sharedHub(flags) {
  const name = flags.join(' ')
  if (!shared.hubs.has(name)) shared.hubs.set(name, startServer(flags))
  return /** @type {Promise<any>} */ (shared.hubs.get(name))
}

/** Hub and middlebox of one run, and the requests that a scenario may make to them. */
export class Run {
  id = 'r' + ++shared.runs
  /** @type {any} */
  hub
  /** @type {Middlebox} */
  // @ts-expect-error it is set at once by `start`
  box
  #isOwn = false
  /** @type {string[]} */
  #flags = []

  /** @param {string[]} flags @param {boolean} [isOwn] */
  static async start(flags, isOwn = false) {
    const run = new Run()
    run.#flags = ['--publish-rate', '0', ...flags]
    run.#isOwn = isOwn
    run.hub = isOwn ? await startServer(run.#flags, await freePort()) : await sharedHub(run.#flags)
    run.port = run.hub.port
    run.box = await Middlebox.start({ port: run.port })
    return run
  }

  /** Handles the requests of scenarios, by name. @param {string} name @param {any[]} args */
  async control(name, args) {
    const { box } = this
    /** @type {Record<string, (...args: any[]) => any>} */
    const does = {
      set: (rules) => box.set(rules),
      cut: (kind) => box.cut(kind),
      deaden: () => box.deaden(),
      open: (kind) => box.open(kind),
      asked: (pattern = '') => box.asked.filter(({ kind, method, url }) => new RegExp(pattern).test(`${kind} ${method} ${url}`)).length,
      address: () => box.address,
      hubAddress: () => `http://127.0.0.1:${this.port}/`,
      stop: (signal = 'SIGKILL') => this.hub.stop(signal),
      end: (signal = 'SIGTERM') => void this.hub.stop(signal),
      start: async (flags = this.#flags) => (this.hub = await startServer(flags, this.port)) && 0,
      post: (channel, body, how) => this.#post(channel, body, how),
      said: (pattern) => this.hub.said().split('\n').filter((line) => new RegExp(pattern).test(line)).length,
      metric: (metric, labels) => this.#metric(metric, labels),
    }
    if (!does[name]) throw new Error(`no ${name} here`)
    return (await does[name](...args)) ?? null
  }

  /** @param {string} channel @param {any} body @param {any} [how] */
  async #post(channel, body, { type = 'application/json', name } = {}) {
    const query = new URLSearchParams({ channels: channel, ...(name && { name }) })
    const answer = await fetch(`http://127.0.0.1:${this.port}/pub?${query}`, { method: 'POST', headers: { 'content-type': type }, body: Array.isArray(body) ? Uint8Array.from(body) : body })
    if (!answer.ok) throw new Error(`publish: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }

  /** Returns one metric of the hub, summed over its labels. @param {string} metric @param {string} [labels] */
  async #metric(metric, labels = '') {
    const lines = (await (await fetch(`http://127.0.0.1:${this.port}/metrics`)).text()).split('\n')
    return lines.filter((line) => line.startsWith(metric) && line.includes(labels)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  async stop() {
    await this.box.stop()
    if (this.#isOwn) await this.hub.stop()
  }
}

/** @param {string} kind */
export async function browserSeats(kind) {
  const { address } = await site()
  if (!shared.browsers.has(kind)) shared.browsers.set(kind, new BrowserSeats(/** @type {any} */ (kind), address))
  return /** @type {BrowserSeats} */ (shared.browsers.get(kind))
}

/**
 * Returns the places in which one case of a rule runs. With --all, that is every seat of every browser over every
 * transport. Otherwise, Node runs each case over each transport, and one place in a browser runs one case of the
 * rule. The places take turns, so each seat and each transport runs some rules of each subject. One browser runs
 * what Node cannot.
 * @param {number} index of the rule @param {How} how @param {number} at of the case
 * @returns {[string, string, string][]} engine, seat, transport
 */
function placesOf(index, { transports = TRANSPORTS, seats = BROWSER_SEATS, node = true, wide, cases = [undefined] }, at) {
  const inNode = node ? transports.map((transport) => place('node', 'node', transport)) : []
  const kinds = BROWSERS.filter((kind) => kind === 'chromium' || kind === 'firefox')
  const every = (/** @type {string} */ kind, some = seats) => some.flatMap((seat) => transports.map((transport) => place(kind, seat, transport)))
  if (ALL) return [...inNode, ...kinds.flatMap((kind) => every(kind))]
  if (!kinds.length || !seats.length) return inNode
  const kind = kinds[index % kinds.length]
  if (wide) return [...inNode, ...every(kind)]
  const seat = seats[Math.floor(index / kinds.length) % seats.length]
  if (!node) return every(kind, [seat])
  return at === index % cases.length ? [...inNode, place(kind, seat, transports[index % transports.length])] : inNode
}

/** @param {string} engine @param {string} seat @param {string} transport @returns {[string, string, string]} */
function place(engine, seat, transport) {
  return [engine, seat, transport]
}

/** @param {[string, string, string]} place @param {Function} scenario @param {How} how @param {any} given */
async function runIn([engine, seat, transport], scenario, { flags = [], own, limitMs = LIMIT_MS }, given) {
  const pages = await site()
  const outside = pages.address.replace('127.0.0.1', OUTSIDE)
  const run = await Run.start(flags.map((flag) => (flag === 'OUTSIDE' ? outside : flag)), own)
  const control = run.control.bind(run)
  pages.controls.set(run.id, control)
  const base = seat === 'outside' ? outside : pages.address
  const setting = {
    client: engine === 'node' ? new URL('../../dist/client.mjs', import.meta.url).href : `${base}/dist/client.mjs`,
    address: run.box.address, control: `${base}/control/${run.id}`, transport, seat, run: run.id + Date.now().toString(36), given, limitMs,
  }
  try {
    const seats = engine === 'node' ? shared.node : await browserSeats(engine)
    return await seats.run(seat, String(scenario), /** @type {any} */ (setting), control)
  } finally {
    pages.controls.delete(run.id)
    await run.stop()
  }
}

/**
 * Defines a rule, whose scenario runs in each place that `how` names.
 * @param {number} item of part A @param {string} title
 * @param {(kit: import('./kit.js').Kit, given: any) => Promise<void>} scenario it may use nothing but its arguments
 * @param {How} [how]
 */
export function rule(item, title, scenario, how = {}) {
  const index = shared.rules++
  if ((how.long && !ALL) || !STORY.test(`${item}. ${title}`)) return
  shared.rulesOfSubject.push(() => test(`${item}. ${title}`, async (t) => {
    /** @type {string[]} */
    const failures = []
    const one = async (/** @type {[string, string, string]} */ place, /** @type {any} */ given) => {
      const { checks, notes, error } = await runIn(place, scenario, how, given).catch((error) => ({ checks: 0, notes: [], error: String(error?.stack ?? error) }))
      tallied(item, checks)
      for (const note of notes) t.diagnostic(`${place}: ${note}`)
      if (error) failures.push(`${place.join(' ')}${given === undefined ? '' : ' ' + JSON.stringify(given).slice(0, 80)}: ${error}`)
    }
    const runs = (how.cases ?? [undefined]).flatMap((given, at) => placesOf(index, how, at).map((place) => one(place, given)))
    await Promise.all(runs)
    if (failures.length) assert.fail(`${failures.length} of ${runs.length} runs:\n${failures.join('\n')}`)
  }))
}

/** Begins a subject. The following rules belong to it, and several of them run at the same time. @param {string} title */
export function subject(title) {
  /** @type {(() => void)[]} */
  const rules = (shared.rulesOfSubject = [])
  // Runs after the file has defined all its rules.
  queueMicrotask(() => describe(title, { concurrency: AT_ONCE }, () => rules.forEach((tell) => tell())))
}

/** The browser of one person, for stories of several pages. */
export class Desk {
  /** @type {any[]} */
  #pages = []
  checks = 0

  /** @param {any} context @param {Run} run @param {string} site @param {string} transport */
  constructor(context, run, site, transport) {
    this.context = context
    this.run = run
    this.site = site
    this.setting = { client: `${site}/dist/client.mjs`, address: run.box.address, transport, room: `room/${run.id}` }
  }

  async page() {
    const page = await newPage(this.context)
    this.#pages.push(page)
    await page.goto(this.site + '/')
    await this.isThere(page)
    return page
  }

  /** @param {any} page */
  isThere(page) {
    return page.waitForFunction('"run" in globalThis')
  }

  /** @param {string} channel @param {any} data */
  post(channel, data) {
    return this.run.control('post', [channel, JSON.stringify(data)])
  }

  /** Waits for the interval of a voice. */
  pause() {
    return new Promise((resolve) => setTimeout(resolve, SPEAK_EVERY_MS))
  }

  /** @param {string} name @returns {Promise<number>} */
  metric(name) {
    return this.run.control('metric', [name])
  }

  /** @param {any} actual @param {any} expected @param {string} what */
  is(actual, expected, what) {
    this.checks++
    assert.deepEqual(actual, expected, what)
  }

  /** @param {string} what @param {() => any} look */
  async until(what, look) {
    this.checks++
    const end = Date.now() + STORY_WAIT_MS
    while (!(await look())) {
      if (Date.now() > end) throw new Error(`after ${STORY_WAIT_MS} ms still not: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
  }
}

/**
 * Defines a story of several pages. It runs over each transport in Chromium and over one in Firefox; with --all,
 * over each in both.
 * @param {number} item @param {string} title @param {(desk: Desk) => Promise<void>} tell
 */
export function story(item, title, tell) {
  const index = shared.rules++
  if (!STORY.test(`${item}. ${title}`)) return
  for (const [at, kind] of BROWSERS.filter((kind) => kind === 'chromium' || kind === 'firefox').entries()) {
    for (const transport of ALL || at === 0 ? TRANSPORTS : [TRANSPORTS[index % TRANSPORTS.length]]) {
      shared.rulesOfSubject.push(() => test(`${item}. ${title} (${kind}, ${transport})`, async () => {
        const run = await Run.start([], true)
        const context = await (await (await browserSeats(kind)).browser()).newContext()
        const desk = new Desk(context, run, (await site()).address, transport)
        try {
          await tell(desk)
        } finally {
          tallied(item, desk.checks)
          await context.close()
          await run.stop()
        }
      }))
    }
  }
}
