/** The second page on a known network first tries the transport that worked before. */
import assert from 'node:assert/strict'

/** @typedef {import('./stage.js').Stage} Stage */

/** Time limit from `connect` until a transport is proven, in ms. */
const USABLE_MOST_MS = 200

/** @param {import('../support/middlebox.js').Middlebox['set'] extends (rules: infer R) => any ? R : never} rules @param {string} transport */
const again = (rules, transport) => async (/** @type {Stage} */ { world, desk, note }) => {
  world.box.set(rules)
  const person = await desk()
  const first = await person.page()
  await first.come('Ann')
  await first.isConnected('Ann', transport)
  const slow = (await first.call('Ann', 'seen')).usableMs
  await first.page.goto(world.site.address + '/other')
  await first.page.goto(world.site.address + '/')
  await first.come('Ann')
  await first.isConnected('Ann', transport)
  const { usableMs, transports } = await first.call('Ann', 'seen')
  note(`${transport}: ${Math.round(slow)} ms at first, ${Math.round(usableMs)} ms on the second page`)
  assert.deepEqual(transports, [`null>${transport} (start)`])
  assert.ok(usableMs <= USABLE_MOST_MS, `${usableMs} ms\n${await first.call('Ann', 'report')}`)
}

export default {
  'where Upgrade is refused, the second page begins with the stream': again({ ws: { refuse: 403 } }, 'sse'),
  'where Upgrade is swallowed, the second page begins with the stream': again({ ws: { swallow: true } }, 'sse'),
  'where Upgrade is refused and streams are held, the second page begins with polls': again({ ws: { refuse: 403 }, sse: { hold: 'whole' } }, 'poll'),
}
