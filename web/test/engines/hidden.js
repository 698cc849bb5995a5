/** Hidden pages, and machines that sleep: their clocks are slow, or jump. */
import assert from 'node:assert/strict'
import { until } from '../browser/world.js'
import { family, tell } from './processes.js'

/** @typedef {import('./stage.js').Stage} Stage */

const TRANSPORTS = ['ws', 'sse', 'poll']
/** The shortest possible heartbeat, in seconds: it exposes a client that trusts its timers soonest. */
const HEARTBEAT = 1
/** How long the page is hidden, in ms: timers that run once a minute, or once a second, are late many times. */
const HIDDEN_MS = 9000
/** The interval of messages, in ms: several heartbeats of silence lie in between. */
const WORD_EVERY_MS = 2700
/** How late an event may be in a hidden page, in ms: engines deliver there, though not at once. */
const LATE_MOST_MS = 1500
/** How long the machine sleeps, in ms: more than five seconds and the silence of one and a half heartbeats. */
const ASLEEP_MS = 8000
/**
 * Time limit from the end of the sleep until everything published meanwhile has arrived, in ms. The old connections
 * are dead.
 */
const AWAKE_MOST_MS = 2500

/** A pause that belongs to the test; it waits for nothing. @param {number} ms */
const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** @param {import('./stage.js').Seat} seat @param {string[]} [transports] */
async function allCome(seat, transports = TRANSPORTS) {
  for (const transport of transports) {
    await seat.come(transport, { transports: [transport], heartbeat: HEARTBEAT })
    await seat.isConnected(transport, transport)
  }
}

export default {
  async 'in the back, with drowsy timers, nothing is judged falsely and every event arrives'(/** @type {Stage} */ { world, desk, note }) {
    const person = await desk()
    const seat = await person.page()
    await allCome(seat)
    const other = await person.page()
    await other.page.bringToFront()
    // With this driver, new windows are hidden.
    const hidden = (await other.been()).visibility.at(-1) === 'hidden' ? other : seat
    if (hidden === other) await allCome(other)
    await until('the page to be hidden', async () => (await hidden.been()).visibility.at(-1) === 'hidden', () => hidden.been())
    const asked = world.box.asked.length
    const voice = world.speak('numbers', WORD_EVERY_MS)
    await pass(HIDDEN_MS)
    const count = await voice.stop()
    for (const transport of TRANSPORTS) {
      await hidden.isWhole(transport, count)
      const { states, transports } = await hidden.call(transport, 'seen')
      assert.deepEqual([states, transports], [['connected (start)'], [`null>${transport} (start)`]])
      const late = Math.max(...(await hidden.call(transport, 'times')).map((/** @type {any} */ { at, came }) => came - at))
      note(`${transport}: hidden for ${HIDDEN_MS / 1000} s, latest event after ${late} ms`)
      assert.ok(late < LATE_MOST_MS, `${transport}: ${late} ms`)
    }
    const more = world.box.asked.slice(asked).map(({ kind }) => kind)
    assert.deepEqual(more.filter((kind) => kind !== 'poll' && kind !== 'post'), [], 'no connection was made anew')
    await seat.page.bringToFront()
  },

  async 'after a sleep that killed every connection in silence, the page looks at once and misses nothing'(/** @type {Stage} */ { world, desk, note }) {
    const person = await desk()
    const seat = await person.page()
    const transports = ['ws', 'sse']
    await allCome(seat, transports)
    await world.publish('numbers', { n: 1 })
    for (const transport of transports) await seat.hasHeard(transport, 1)
    const all = family(person.process)
    tell(all, 'SIGSTOP')
    try {
      world.site.strand()
      for (let n = 2; n <= 5; n++) await world.publish('numbers', { n })
      await pass(ASLEEP_MS)
    } finally {
      tell(all.reverse(), 'SIGCONT')
    }
    const awake = Date.now()
    for (const transport of transports) {
      await seat.isWhole(transport, 5)
      const took = (await seat.call(transport, 'times')).at(-1).came - awake
      note(`${transport}: ${took} ms after the sleep`)
      assert.ok(took < AWAKE_MOST_MS, `${transport}: ${took} ms\n${await seat.call(transport, 'report')}`)
      assert.deepEqual(await seat.call(transport, 'down'), [], 'a sleep is nobody\'s fault')
    }
  },

  async 'a page that was frozen goes on where it was'(/** @type {Stage} */ { kind, world, desk, note }) {
    // Phones and energy savers freeze pages.
    if (kind !== 'chromium') return 'only Chromium can be told to freeze a page'
    const seat = await (await desk()).page()
    const transports = ['ws', 'sse', 'poll']
    await allCome(seat)
    const voice = world.speak('numbers')
    for (const transport of transports) await seat.hasHeard(transport, 3)
    const devtools = await seat.page.createCDPSession()
    await devtools.send('Page.setWebLifecycleState', { state: 'frozen' })
    const before = voice.said
    await until('much to be said meanwhile', () => voice.said >= before + 200)
    await devtools.send('Page.setWebLifecycleState', { state: 'active' })
    const back = Date.now()
    for (const transport of transports) await seat.hasHeard(transport, before + 200)
    note(`frozen while 200 were said; all there ${Date.now() - back} ms after`)
    const count = await voice.stop()
    for (const transport of transports) {
      await seat.isWhole(transport, count)
      assert.deepEqual(await seat.call(transport, 'down'), [])
    }
    assert.ok((await seat.been()).shown.includes('freeze'), 'it was frozen')
  },
}
