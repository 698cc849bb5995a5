/** Each transport supports all features of a hub, and one session moves between transports under load. */
import assert from 'node:assert/strict'
import { until } from '../browser/world.js'
import { logged } from './stage.js'

/** @typedef {import('./stage.js').Stage} Stage */

const TEXT = 'Grüße ✓ "so"\r\n\u2028\u0000 <b>'
const ALL_BYTES = Array.from({ length: 256 }, (_, at) => at)
const CUTS = 3
/** Numbers after each cut, and as many publishes of the guest at the same time. */
const BETWEEN = 10

/** @param {string} transport */
const talk = (transport) => async (/** @type {Stage} */ { world, desk, note }) => {
  const seat = await (await desk()).page()
  const here = { channel: 'numbers', since: 'all', presence: true }
  await seat.come('Ann', { transports: [transport], info: { name: 'Ann' } }, here)
  await seat.isConnected('Ann', transport)
  await seat.come('Bob', { transports: [transport], info: { name: 'Bob' } }, here)
  await seat.isConnected('Bob', transport)
  await until('Ann to see Bob come', async () => (await seat.call('Ann', 'seen')).presence.includes('join Bob 2'), async () => (await seat.call('Ann', 'seen')).presence)
  assert.deepEqual(await seat.call('Bob', 'members'), ['Ann', 'Bob'])

  await seat.call('Ann', 'publish', TEXT)
  await seat.call('Bob', 'publishBytes')
  for (const who of ['Ann', 'Bob']) {
    await seat.sees(who, 'text and bytes', ({ words }) => words === 2)
    assert.deepEqual((await seat.call(who, 'seen')).words, [TEXT, ALL_BYTES])
  }
  await seat.call('Bob', 'close')
  await until('Ann to see Bob leave', async () => (await seat.call('Ann', 'seen')).presence.includes('leave Bob 1'), async () => (await seat.call('Ann', 'seen')).presence)
  note(`${transport} usable after ${Math.round((await seat.call('Ann', 'seen')).usableMs)} ms`)

  const voice = world.speak('numbers')
  const own = [...Array(CUTS * BETWEEN).keys()]
  for (let cut = 0; cut < CUTS; cut++) {
    const before = voice.said
    await seat.hasHeard('Ann', before)
    await seat.call('Ann', 'publishAll', own.slice(cut * BETWEEN, (cut + 1) * BETWEEN).map((own) => ({ own })))
    world.box.cut()
    await seat.hasHeard('Ann', before + BETWEEN)
  }
  await seat.isWhole('Ann', await voice.stop())
  await seat.sees('Ann', 'every word to be answered', ({ acknowledged }) => acknowledged === own.length)
  const said = (/** @type {any[]} */ words) => words.filter((word) => word?.own !== undefined).map(({ own }) => own)
  assert.deepEqual(said(await logged(world, 'numbers')), own)
  await until('her own words to come', async () => said((await seat.call('Ann', 'seen')).words).length >= own.length)
  const { words, rejected, transport: last } = await seat.call('Ann', 'seen')
  assert.deepEqual([said(words), rejected, last], [own, [], transport])
}

export default {
  'WebSocket: text, every byte, presence, and cuts that lose nothing': talk('ws'),
  'server-sent events: text, every byte, presence, and cuts that lose nothing': talk('sse'),
  'long polling: text, every byte, presence, and cuts that lose nothing': talk('poll'),

  async 'moved by hand between all three, under load both ways, nothing is lost, repeated or turned round'(/** @type {Stage} */ { world, desk, note }) {
    const seat = await (await desk()).page()
    await seat.come('Ann')
    await seat.isConnected('Ann', 'ws')
    const voice = world.speak('numbers')
    const began = Date.now()
    let own = 0
    const ways = ['sse', 'poll', 'ws', 'poll', 'sse', 'ws']
    for (const way of ways) {
      await seat.call('Ann', 'use', way)
      await seat.call('Ann', 'publishAll', Array.from({ length: BETWEEN }, () => ({ own: own++ })))
      await seat.isConnected('Ann', way)
      await seat.call('Ann', 'publishAll', Array.from({ length: BETWEEN }, () => ({ own: own++ })))
      await seat.hasHeard('Ann', voice.said)
    }
    note(`${ways.length} changes in ${Date.now() - began} ms, ${voice.said} numbers meanwhile`)
    await seat.isWhole('Ann', await voice.stop())
    await seat.sees('Ann', 'every word to be answered and heard', ({ acknowledged, words }) => acknowledged === own && words >= own)
    const { words, rejected, states, transports } = await seat.call('Ann', 'seen')
    assert.deepEqual(words.map((/** @type {any} */ { own }) => own), [...Array(own).keys()])
    assert.deepEqual((await logged(world, 'numbers')).map(({ own }) => own), [...Array(own).keys()])
    assert.deepEqual(rejected, [])
    assert.deepEqual(states, ['connected (start)'], 'the application sees no cut')
    assert.deepEqual(transports.slice(1).map((/** @type {string} */ line) => line.split(' ')[0]), ['ws>sse', 'sse>poll', 'poll>ws', 'ws>poll', 'poll>sse', 'sse>ws'])
  },
}
