/**
 * One run: the real hub, a middlebox in front of it, a seat in an engine, and numbers in both directions; then the
 * results. Knows no particular path and no bound: the path provides rules and a story.
 */
import { Middlebox } from '../support/middlebox.js'
import { servedClient } from './engines.js'
import { startServer } from '../server.js'

/** The interval of the checks of a condition, in ms. */
const LOOK_EVERY_MS = 20
/** How long everything in flight may take to arrive at the end, in ms. */
const ARRIVE_MOST_MS = 20_000
/** The time limit of a first connect, in ms: far above every bound. */
const USABLE_MOST_MS = 45_000

/** The time limit of a report, in ms. */
const REPORT_MOST_MS = 5000

/** @param {number} ms part of the story, never a wait for a condition */
export const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** @param {() => any} look @param {number} mostMs @returns {Promise<boolean>} whether the condition held in time */
export async function until(look, mostMs) {
  const end = Date.now() + mostMs
  while (!(await look())) {
    if (Date.now() > end) return false
    await pass(LOOK_EVERY_MS)
  }
  return true
}

/** Publishes numbers directly to the hub. */
class Publisher {
  count = 0
  #address
  #everyMs = 0
  #turn = Promise.resolve()
  /** Padding of each number, in bytes. */
  padBytes = 0

  /** @param {string} address */
  constructor(address) {
    this.#address = address
  }

  /** @param {number} everyMs 0 stops, and waits for the last one */
  async every(everyMs) {
    const wasStill = !this.#everyMs
    this.#everyMs = everyMs
    if (everyMs && wasStill) this.#turn = this.#flow()
    if (!everyMs) await this.#turn
  }

  async #flow() {
    while (this.#everyMs) {
      const next = Date.now() + this.#everyMs
      await this.one()
      // Check often, so that a stop takes effect at once.
      while (this.#everyMs && Date.now() < next) await pass(Math.min(LOOK_EVERY_MS, next - Date.now()))
    }
  }

  async one() {
    const n = this.count + 1
    const answer = await fetch(`${this.#address}pub/numbers`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ n, at: Date.now(), ...(this.padBytes && { pad: 'x'.repeat(this.padBytes) }) }) })
    if (answer.status !== 201) throw new Error(`publish: ${answer.status} ${await answer.text()}`)
    this.count = n
  }

  /** @param {string} address of another hub from now on */
  to(address) {
    this.#address = address
  }
}

/**
 * @typedef {object} Front what stands between client and hub, if it is not the middlebox
 * @property {string} address for the client
 * @property {string} [proxy] for the client, if it is a forward proxy
 * @property {() => Promise<void>} stop
 */

/** The values that the story of a path works with. */
export class World {
  /** Deliveries are judged from this time on. */
  judgedFrom = 0
  /** Times from which the bounds of a path count. @type {Record<string, number>} */
  marks = {}
  /** Carriers other than WS, of many connects. @type {string[] | undefined} */
  others
  /** Cuts after the client should have learned the path. */
  cutsAfter = 0
  /** Numbers of the client that an earlier hub had before it ended. @type {number[]} */
  words = []
  /** Other seats, by the channel to which they publish. @type {Map<string, import('./engines.js').Taken>} */
  tabs = new Map()
  /** Values that a path collects for its own bounds. @type {Record<string, any>} */
  found = {}

  /**
   * @param {import('./paths.js').Path} path
   * @param {import('./engines.js').Engine} engine
   * @param {Awaited<ReturnType<typeof startServer>>} server
   * @param {Middlebox} box
   * @param {Front} front the middlebox itself, or a real proxy instead of it
   */
  constructor(path, engine, server, box, front) {
    this.front = front
    this.path = path
    this.engine = engine
    this.server = server
    this.box = box
    this.publisher = new Publisher(server.address)
    this.publisher.padBytes = path.padBytes ?? 0
  }

  /** Returns the address that the client uses. */
  get address() {
    const { host } = this.path
    return host ? this.front.address.replace('127.0.0.1', host) : this.front.address
  }

  /** @param {string} [memory] */
  async enter(memory) {
    this.seat = await this.engine.visit(this.address, { ...this.path.options, proxy: this.front.proxy, pageAt: this.path.isElsewhere ? this.server.address : undefined }, memory)
  }

  /** @param {string} name @param {...any} args */
  call(name, ...args) {
    return /** @type {import('./engines.js').Taken} */ (this.seat).call(name, ...args)
  }

  /** @param {string} name */
  mark(name) {
    this.marks[name] = Date.now()
  }

  /** Opens another tab of the same browser, which publishes to its own channel. It does not connect yet. @param {string} words */
  async tab(words) {
    const { beside } = /** @type {import('./engines.js').Taken} */ (this.seat)
    const tab = await /** @type {NonNullable<typeof beside>} */ (beside)({ words })
    this.tabs.set(words, tab)
    return tab
  }

  /** Keeps the client's numbers that are in this hub's log. */
  async keepWords() {
    this.words.push(...(await this.logged('words')))
  }

  /** Returns the numbers in a channel of the hub. @param {string} channel */
  async logged(channel) {
    /** @type {number[]} */
    const numbers = []
    for (let since = 'all'; ; ) {
      const page = await (await fetch(`${this.server.address}history/${channel}?since=${since}&limit=1000`)).json()
      for (const { type, data } of page.frames) if (type === 'event') numbers.push(data.n)
      if (!page.more) return numbers
      since = page.cursor
    }
  }

  /** Returns whether every publish was answered and every published number arrived. */
  async isQuiet() {
    return hasAll(await this.call('seen'), this.publisher.count)
  }

  /** @param {number} mostMs */
  async isConnected(mostMs) {
    return until(async () => (await this.call('seen')).state === 'connected', mostMs)
  }

  /** @param {string} transport @param {number} mostMs */
  async carriedBy(transport, mostMs) {
    return until(async () => (await this.call('seen')).transport === transport, mostMs)
  }
}

/** Long enough to lose something: a second of replay, handovers, publishes. */
const STAY_MS = 2500

/** @param {import('./paths.js').Path} path @param {import('./engines.js').Engine} engine */
export async function travel(path, engine) {
  const server = await startServer(['--open', '--history-events', '100000', '--publish-rate', '0', ...(path.host ? ['--host', path.host] : []), ...(path.flags ?? [])])
  const door = path.door && (await Middlebox.start({ port: server.port }, path.door))
  const box = await Middlebox.start({ port: (door ?? server).port })
  box.serve = servedClient
  /** @type {Front | undefined} */
  let front
  /** @type {World | undefined} */
  let world
  try {
    front = path.front ? await path.front(server.port) : /** @type {Front} */ (box)
    world = new World(path, engine, server, box, front)
    await world.enter()
    await path.prepare?.(world)
    box.set(path.rules ?? {})
    // Cut the connection that loaded the page: it is not subject to these rules.
    box.cut()
    box.asked.length = 0
    await world.publisher.every(path.everyMs ?? 50)
    await world.call('go')
    if (path.fromStart) await path.fromStart(world)
    const isUsable = await until(async () => (await world.call('seen')).usableAt, USABLE_MOST_MS)
    world.judgedFrom ||= Date.now()
    if (isUsable) {
      await world.call('speak', path.sayEveryMs ?? 100)
      await (path.story ? path.story(world) : pass(STAY_MS))
    }
    await world.publisher.every(0)
    await world.call('speak', 0)
    await until(async () => hasAll(await world.call('seen'), world.publisher.count), path.arriveMostMs ?? ARRIVE_MOST_MS)
    await world.keepWords()
    const seen = await world.call('seen')
    return measured(world, seen, await reportOf(world))
  } finally {
    for (const tab of world?.tabs.values() ?? []) await tab.leave()
    await world?.seat?.leave()
    await box.stop()
    await door?.stop()
    if (front !== box) await front?.stop()
    await (world ?? { server }).server.stop()
  }
}

/**
 * Returns the report. Its part of the client is loaded on demand, which fails in a browser without a free
 * connection.
 * @param {World} world
 */
const reportOf = (world) => Promise.race([world.call('report').catch((error) => `no report: ${error}`), pass(REPORT_MOST_MS).then(() => 'no report: it was not loaded in time')])

/** @param {any} seen @param {number} count */
const hasAll = ({ heard, said, acknowledged, rejected }, count) => (heard.at(-1)?.[0] ?? 0) >= count && acknowledged + rejected.length === said

/**
 * Counts what is lost, duplicated and out of order among numbers that should be 1 to `count`.
 * @param {number[]} numbers @param {number} count
 */
export function faults(numbers, count, late = /** @type {number[]} */ ([])) {
  const seen = new Set(numbers)
  let disorder = 0
  let most = 0
  for (const n of numbers) {
    // A number that was omitted and read again is marked as late.
    if (n < most && !late.includes(n)) disorder++
    most = Math.max(most, n)
  }
  return { lost: count - [...seen].filter((n) => n <= count).length, twice: numbers.length - seen.size, disorder }
}

/** Returns the most requests in any second. @param {[number, string][]} asked */
export function busiest(asked) {
  let most = 0
  for (const [index, [at]] of asked.entries()) most = Math.max(most, asked.slice(index).filter(([other]) => other < at + 1000).length)
  return most
}

/** @param {World} world @param {any} seen @param {string} report */
function measured(world, seen, report) {
  const { beganAt, usableAt, answeredAt, caughtUpAt, hasLoaded, answers, heard, changes, asked, said, rejected } = seen
  const judged = heard.filter(([, at]) => at >= world.judgedFrom)
  const down = faults(heard.map(([n]) => n), world.publisher.count, seen.late)
  const up = faults(world.words, said)
  const denied = rejected.map((/** @type {string} */ text) => parseInt(text)).filter((/** @type {number} */ n) => world.words.includes(n))
  up.lost -= rejected.length - denied.length
  return {
    beganAt,
    others: world.others,
    cutsAfter: world.cutsAfter,
    states: changes.filter(({ what }) => what === 'state').map(({ to }) => to),
    usableMs: usableAt && usableAt - beganAt,
    answeredMs: answeredAt && answeredAt - beganAt,
    caughtUpMs: caughtUpAt && caughtUpAt - beganAt,
    hasLoaded,
    answers: answers.map(([tookMs, at]) => [tookMs, at - beganAt]),
    found: world.found,
    /** When each number arrived. */
    came: new Map(heard.map(([n, , came]) => [n, came - beganAt])),
    first: seen.first,
    transport: seen.transport,
    state: seen.state,
    ways: changes.filter(({ what, to }) => what === 'transport' && to),
    changes: changes.map((change) => ({ ...change, atMs: change.at - beganAt })),
    requests: asked.length,
    asked: asked.map(([at, what]) => [at - beganAt, what]),
    marks: Object.fromEntries(Object.entries(world.marks).map(([name, at]) => [name, at - beganAt])),
    lost: down.lost + up.lost,
    twice: down.twice + up.twice,
    disorder: down.disorder + up.disorder,
    down,
    up,
    /** Publishes that took effect although they were rejected. */
    denied,
    heard: heard.length,
    times: heard.map(([n, at, came, via]) => `${n}:${at - beganAt}+${came - at}${via}`).join(" "),
    said,
    rejected,
    gaps: seen.gaps.length,
    /** The longest latency of an event that was published after judging began, and its time. */
    worstMs: Math.max(0, ...judged.map(([, at, came]) => came - at)),
    worst: judged.reduce((worst, one) => (!worst || one[2] - one[1] > worst[2] - worst[1] ? one : worst), undefined)?.map((part, index) => (index === 1 || index === 2 ? part - beganAt : part)),
    report,
  }
}
