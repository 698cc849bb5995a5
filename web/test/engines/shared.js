/**
 * Many tabs of one browser share one connection. One tab reads for all of them, and it may be closed at any time.
 */
import assert from 'node:assert/strict'
import { until } from '../browser/world.js'
import { logged } from './stage.js'

/** @typedef {import('./stage.js').Stage} Stage @typedef {import('./stage.js').Seat} Seat */

/** More tabs than the six connections that a browser has for one origin on HTTP/1.1. */
const TABS = 10
/** Messages of each tab, published at once. */
const WORDS = 5
/**
 * Time limit of an ordinary request of the page while all tabs read, in ms: on loopback, in an engine that is busy
 * with ten tabs.
 */
const ORDINARY_MOST_MS = 500
/** Longest silence in a tab while the tab that reads closes and another takes over, in ms. */
const HAND_OVER_MOST_MS = 1000
const NUMBERS = { channel: 'numbers', since: 'all' }

/** @param {import('./stage.js').Desk} desk @param {number} count @param {any} [options] @returns {Promise<Seat[]>} the first one reads for all */
async function tabs(desk, count, options) {
  const seats = []
  for (let index = 0; index < count; index++) {
    const seat = await desk.page()
    await seat.come('tab', { share: true, ...options })
    await seat.isConnected('tab', options?.transports?.[0])
    seats.push(seat)
  }
  return seats
}

/** @param {import('./site.js').World} world @param {number} count */
const readers = (world, count) => until(`${count} reader at the hub`, async () => (await world.metric('triway_readers')) === count, () => world.metric('triway_readers'))

/** Returns the longest time without a number after `from`, in ms. @param {Seat} seat @param {number} from */
async function silence(seat, from) {
  const times = (await seat.call('tab', 'times')).map((/** @type {any} */ { came }) => came)
  return Math.max(...times.map((/** @type {number} */ came, /** @type {number} */ at) => (came < from ? 0 : came - times[at - 1])).filter(Number.isFinite))
}

/**
 * Ends the tab that reads while events and publishes are in flight.
 * @param {Stage} stage @param {string} how @param {(first: Seat, process: number) => any} end
 */
async function handOver({ world, desk, note }, how, end, options = {}) {
  const [first, ...others] = await tabs(await desk(), 4, options)
  const process = await first.process()
  const voice = world.speak('numbers')
  for (const seat of others) await seat.hasHeard('tab', voice.said + 10)
  const from = Date.now()
  // Messages that are in flight through the tab that ends.
  const said = others.map((seat, index) => Array.from({ length: WORDS }, (_, at) => `${how} ${index} ${at}`))
  await Promise.all(others.map((seat, index) => seat.call('tab', 'publishAll', said[index])))
  await end(first, process)
  const goneAt = voice.said
  for (const seat of others) await seat.hasHeard('tab', goneAt + 50)
  for (const seat of others) await seat.sees('tab', 'every word to be answered', ({ acknowledged, rejected }) => acknowledged + rejected === WORDS)
  const count = await voice.stop()
  const silences = []
  for (const seat of others) {
    await seat.isWhole('tab', count)
    silences.push(await silence(seat, from))
    const { rejected, state } = await seat.call('tab', 'seen')
    assert.deepEqual([rejected, state], [[], 'connected'])
  }
  note(`${how}: longest silence ${silences} ms`)
  const words = await logged(world, 'numbers')
  assert.deepEqual([...words].sort(), said.flat().sort(), 'each word once')
  for (const list of said) assert.deepEqual(words.filter((word) => list.includes(word)), list, 'in the order in which each tab said them')
  await readers(world, 1)
  assert.ok(silences.every((ms) => ms < HAND_OVER_MOST_MS), `${silences} ms`)
}

export default {
  async 'ten tabs have one reader at the hub, hear all, speak, and starve nobody'(/** @type {Stage} */ { world, desk, note }) {
    const voice = world.speak('numbers')
    const seats = await tabs(await desk(), TABS, { transports: ['sse'] })
    await readers(world, 1)
    assert.equal(world.box.open('sse'), 1, 'one connection')
    const took = []
    for (const seat of seats) {
      took.push(await seat.page.evaluate(async () => {
        const began = performance.now()
        await (await fetch('/ordinary', { cache: 'no-store' })).text()
        return Math.round(performance.now() - began)
      }))
    }
    note(`an ordinary request beside ${TABS} tabs: ${took} ms`)
    assert.ok(took.every((ms) => ms < ORDINARY_MOST_MS), `${took} ms`)
    for (const [index, seat] of seats.entries()) await seat.call('tab', 'publishAll', Array.from({ length: WORDS }, (_, at) => `${index}-${at}`))
    for (const seat of seats) await seat.sees('tab', 'every word', ({ words, acknowledged }) => words >= TABS * WORDS && acknowledged === WORDS)
    const count = await voice.stop()
    const log = await logged(world, 'numbers')
    assert.equal(log.length, TABS * WORDS)
    const sessions = new Set()
    for (const [index, seat] of seats.entries()) {
      await seat.isWhole('tab', count)
      const { words, session } = await seat.call('tab', 'seen')
      assert.deepEqual(words, log, `tab ${index} heard the words as they were said`)
      sessions.add(session)
    }
    assert.equal(sessions.size, 1, 'one session')
    await readers(world, 1)
  },

  async 'the tab that reads is closed, and another goes on within a second'(/** @type {Stage} */ stage) {
    await handOver(stage, 'closed, on WebSocket', (first) => first.page.close())
  },

  async 'the same over an event stream'(/** @type {Stage} */ stage) {
    await handOver(stage, 'closed, on an event stream', (first) => first.page.close(), { transports: ['sse'] })
  },

  async 'the tab that reads is killed, and another goes on within a second'(/** @type {Stage} */ stage) {
    if (stage.kind === 'webkit') return 'this driver ends its session when a page dies'
    await handOver(stage, 'killed', (first, one) => process.kill(one, 'SIGKILL'))
  },

  async 'the tab that reads goes elsewhere and comes back: one reader all the time'(/** @type {Stage} */ { world, desk, note }) {
    const [first, ...others] = await tabs(await desk(), 3)
    const voice = world.speak('numbers')
    for (const seat of others) await seat.hasHeard('tab', voice.said + 5)
    const from = Date.now()
    await first.page.goto(world.site.address + '/other')
    for (const seat of others) await seat.hasHeard('tab', voice.said + 20)
    await first.page.goBack()
    for (const seat of others) await seat.hasHeard('tab', voice.said + 20)
    const fresh = (await first.been()).shown.at(-1) === 'pageshow false'
    if (fresh) await first.come('tab', { share: true }, NUMBERS)
    await first.isConnected('tab')
    const count = await voice.stop()
    for (const seat of [first, ...others]) await seat.isWhole('tab', count)
    const silences = []
    for (const seat of others) silences.push(await silence(seat, from))
    note(`elsewhere: longest silence ${silences} ms; it came back ${fresh ? 'as a fresh page' : 'out of the cache of pages'}`)
    await readers(world, 1)
    assert.ok(silences.every((ms) => ms < HAND_OVER_MOST_MS), `${silences} ms`)
  },

  async 'below WebSocket tabs share without being told to, as one member, and lose nothing by it; `share: false` does not'(/** @type {Stage} */ { world, desk }) {
    const room = await desk()
    const voice = world.speak('numbers')
    const options = { transports: ['sse'], info: { name: 'one' } }
    const seats = []
    for (let index = 0; index < 3; index++) {
      const seat = await room.page()
      await seat.come('tab', options, { ...NUMBERS, presence: true })
      await seat.isConnected('tab', 'sse')
      seats.push(seat)
    }
    await readers(world, 1)
    assert.equal(world.box.open('sse'), 1, 'one connection')
    await until('one member', async () => (await seats[0].call('tab', 'members')).length === 1, () => seats[0].call('tab', 'members'))
    for (const [index, seat] of seats.entries()) await seat.call('tab', 'publishAll', Array.from({ length: WORDS }, (_, at) => `${index}-${at}`))
    for (const seat of seats) await seat.sees('tab', 'every word', ({ words, acknowledged }) => words >= 3 * WORDS && acknowledged === WORDS)
    const [first, ...others] = seats
    await first.page.close()
    for (const seat of others) await seat.hasHeard('tab', voice.said + 50)
    const alone = await room.page()
    await alone.come('alone', { ...options, share: false }, NUMBERS)
    await alone.isConnected('alone', 'sse')
    await readers(world, 2)
    const count = await voice.stop()
    for (const seat of others) await seat.isWhole('tab', count)
    await alone.isWhole('alone', count)
    assert.equal((await logged(world, 'numbers')).length, 3 * WORDS, 'each word once')
  },

  async 'a tab that does not read changes the transport for all'(/** @type {Stage} */ { world, desk }) {
    const seats = await tabs(await desk(), 3)
    const voice = world.speak('numbers')
    for (const way of ['poll', 'sse', 'ws']) {
      await seats[2].call('tab', 'use', way)
      for (const seat of seats) await seat.isConnected('tab', way)
    }
    const count = await voice.stop()
    for (const seat of seats) await seat.isWhole('tab', count)
    await readers(world, 1)
  },
}
