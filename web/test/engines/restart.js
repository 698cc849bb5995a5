/** The hub restarts while a page is connected. */
import assert from 'node:assert/strict'

/** @typedef {import('./stage.js').Stage} Stage */

/** @param {any} rules for which this transport is the best that works @param {string} transport */
const under = (rules, transport) => async (/** @type {Stage} */ { world, desk, note }) => {
  world.box.set(rules)
  const seat = await (await desk()).page()
  await seat.come('Ann')
  await seat.isConnected('Ann', transport)
  await world.publish('numbers', { n: 1 })
  await seat.hasHeard('Ann', 1)
  const before = (await seat.call('Ann', 'seen')).transports.length
  await world.restart('SIGTERM')
  await world.publish('numbers', { n: 2 })
  const at = Date.now()
  await seat.hasHeard('Ann', 2)
  await seat.isConnected('Ann', transport)
  const { numbers, gaps, transports } = await seat.call('Ann', 'seen')
  note(`${transport}: back ${Date.now() - at} ms after the hub`)
  assert.deepEqual(numbers, [1, 2])
  assert.deepEqual(gaps, ['restart'], 'what the first life forgot is told once')
  for (const line of transports.slice(before)) assert.match(line, new RegExp(`^(null>${transport}|${transport}>null) `), 'no other way between')
}

export default {
  'the hub is drained and started anew under a page on WebSocket': under({}, 'ws'),
  'the hub is drained and started anew under a page on server-sent events': under({ ws: { refuse: 403 } }, 'sse'),
  'the hub is drained and started anew under a page on long polling': under({ ws: { refuse: 403 }, sse: { refuse: 502 } }, 'poll'),
}
