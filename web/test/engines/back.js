/** A page that the user leaves and returns to through the history of the browser. */
import assert from 'node:assert/strict'
import { until } from '../browser/world.js'

/** @typedef {import('./stage.js').Stage} Stage */

/**
 * The number of returns: a person follows a few links. A WS that was cut this often and this soon would be left.
 */
const TIMES = 4
/** Numbers that are published while the page is away. */
const AWAY = 30
/** Time limit from the page's return to the first number, in ms: a new connection on loopback, in a busy engine. */
const BACK_MOST_MS = 1000

/** Firefox keeps no page that has open connections when the user leaves it. A return loads it again. @param {string} kind */
const keepsPages = (kind) => kind !== 'firefox'

/** @param {string} transport */
const away = (transport) => async (/** @type {Stage} */ { kind, world, desk, note }) => {
  const seat = await (await desk()).page()
  const options = { transports: [transport] }
  await seat.come('Ann', options)
  await seat.isConnected('Ann', transport)
  const voice = world.speak('numbers')
  /** @type {number[]} */
  const took = []
  for (let time = 0; time < TIMES; time++) {
    await seat.hasHeard('Ann', voice.said)
    await seat.page.goto(world.site.address + '/other')
    const before = voice.said
    await until('numbers to be missed', () => voice.said >= before + AWAY)
    await seat.page.goBack()
    if (!keepsPages(kind)) {
      assert.deepEqual((await seat.been()).shown, ['pageshow false'], 'a fresh load')
      await seat.come('Ann', options)
      await seat.isConnected('Ann', transport)
      continue
    }
    await until('the page to be shown again', async () => (await seat.been()).shown.at(-1) === 'pageshow true', async () => (await seat.been()).shown)
    await seat.hasHeard('Ann', before + AWAY)
    const { came } = (await seat.call('Ann', 'times')).find((/** @type {any} */ { n }) => n > before + AWAY / 2)
    took.push(came - (await seat.been()).shownAt)
  }
  await seat.isWhole('Ann', await voice.stop())
  assert.deepEqual(await seat.call('Ann', 'down'), [], 'nothing is held against any transport')
  if (!keepsPages(kind)) return
  note(`${transport}: back after ${took} ms`)
  assert.ok(took.every((ms) => ms < BACK_MOST_MS), `back after ${took} ms`)
  const { transports } = await seat.call('Ann', 'seen')
  assert.ok(transports.every((/** @type {string} */ line) => /^(null>)?(ws|sse|poll)(>null)? /.test(line)), transports.join())
  assert.equal((await seat.been()).shown.filter((line) => line === 'pageshow true').length, TIMES, 'each time out of the cache of pages')
}

export default {
  'away and back, on WebSocket: what was said meanwhile comes once and in order, and WS is trusted as before': away('ws'),
  'away and back, on server-sent events': away('sse'),
  'away and back, on long polling': away('poll'),
}
