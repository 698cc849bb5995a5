/** A captive portal answers, at the start or in mid-session. */
import { pass } from '../journey.js'

/** Requests of the first round, one per transport, and the check for the hub. */
const FIRST_ROUND = 4
const ONLINE_MS = 2000
const ALONE_MS = 30_000

/** @param {import('../journey.js').World} world @param {boolean} isTold */
async function lift(world, isTold) {
  world.mark('lifted')
  world.box.set({})
  world.judgedFrom = Infinity
  if (isTold) await world.call('tell', 'online')
  await world.isConnected(ALONE_MS + 5000)
  world.mark('back')
  world.judgedFrom = Date.now()
}

/** @param {number} mostMs @returns {import('../judge.js').Bounds['more']} */
const sparing = (mostMs) => (measured) => {
  const { marks, asked, states } = measured
  const during = asked.filter(([at]) => at >= marks.captive && at < marks.lifted)
  const later = during.filter(([at]) => at >= marks.captive + 1500)
  const close = later.filter(([at], index) => index && at - later[index - 1][0] < 1000)
  return [
    during.length > FIRST_ROUND + (marks.lifted - marks.captive) / 1000 && `${during.length} requests in ${marks.lifted - marks.captive} ms: ${JSON.stringify(during.slice(0, 20))}`,
    close.length > 0 && `more than one request in a second after the first round: ${JSON.stringify(later.slice(0, 20))}`,
    !states.includes('captive') && 'it never says captive',
    !(marks.back - marks.lifted <= mostMs) && `back after ${marks.back - marks.lifted} ms, allowed are ${mostMs}`,
  ]
}

/** @param {200 | 302 | 511} status @returns {import('../paths.js').Path} */
const atStart = (status) => ({
  name: `captive at the start: ${status}`,
  bound: '≤ 1 request per second, back ≤ 2 s after `online`',
  rules: { all: { captive: status } },
  fast: status === 200,
  async fromStart(world) {
    world.mark('captive')
    await pass(8000)
    await lift(world, true)
  },
  bounds: { transport: 'ws', reason: /:foreign$|:http_\d+$|^online$/, more: sparing(ONLINE_MS) },
})

/** @param {200 | 302 | 511} status @param {boolean} isTold @returns {import('../paths.js').Path} */
const midway = (status, isTold) => ({
  name: `captive in mid-session: ${status}${isTold ? '' : ', no `online`'}`,
  bound: `≤ 1 request per second, back ≤ ${isTold ? '2 s after \`online\`' : '30 s'}`,
  fast: status === 200 && isTold,
  async story(world) {
    await pass(1000)
    await world.call('speak', 0)
    world.mark('captive')
    world.box.set({ all: { captive: status } })
    world.box.cut()
    await pass(8000)
    await lift(world, isTold)
    await pass(1500)
  },
  bounds: { usableMs: 200, transport: 'ws', reason: /^ws:(refused|closed)$|:foreign$|:http_\d+$|^online$/, more: sparing(isTold ? ONLINE_MS : ALONE_MS) },
})

/** @type {import('../paths.js').Path[]} */
export const captivePaths = [...[/** @type {const} */ (200), /** @type {const} */ (302), /** @type {const} */ (511)].flatMap((status) => [atStart(status), midway(status, true)]), midway(200, false)]
