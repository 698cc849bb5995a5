/** The client without a page: in workers. */
import assert from 'node:assert/strict'

/** @typedef {import('./stage.js').Stage} Stage */

const CUTS = 2
const BETWEEN = 10
const ALL_BYTES = Array.from({ length: 256 }, (_, at) => at)

/** @param {'dedicated' | 'shared'} worker */
const serves = (worker) => async (/** @type {Stage} */ { world, desk }) => {
  const seat = await (await desk()).page()
  const voice = world.speak('numbers')
  for (const transport of ['ws', 'sse', 'poll']) {
    await seat.comeInWorker(worker, transport, { transports: [transport] })
    await seat.isConnected(transport, transport)
    await seat.call(transport, 'publishBytes')
    await seat.sees(transport, 'bytes', ({ words }) => words > 0)
    assert.deepEqual((await seat.call(transport, 'seen')).words.at(-1), ALL_BYTES)
    for (let cut = 0; cut < CUTS; cut++) {
      world.box.cut()
      await seat.hasHeard(transport, voice.said + BETWEEN)
    }
  }
  const count = await voice.stop()
  for (const transport of ['ws', 'sse', 'poll']) await seat.isWhole(transport, count)
}

export default {
  'in a dedicated worker: every transport, bytes, cuts': serves('dedicated'),
  'in a shared worker: every transport, bytes, cuts': serves('shared'),
}
