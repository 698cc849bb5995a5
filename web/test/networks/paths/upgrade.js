/** Upgrade refused, swallowed, or answered late; a WS that is mute or killed. */
import { pass } from '../journey.js'
import { askedFor } from '../judge.js'

/** A request that was sent along with the proven transport may still be on its way for this time, in ms. */
const BESIDE_MS = 1000
/** @param {any} measured */
const againTooSoon = (measured) => askedFor(measured, 'WS', measured.usableMs + BESIDE_MS) > 0 && 'WS is tried again before it is planned'

/** Planned attempts of WS begin after 30 s, so there must be none within this time, in ms. */
const LEFT_MS = 6000

/** @type {import('../paths.js').Path[]} */
export const refusedPaths = [400, 403, 404, 426, 502, 200, 'reset'].map((status) => ({
  name: `Upgrade refused: ${status}`,
  bound: 'usable ≤ 0.5 s',
  rules: { ws: { refuse: /** @type {number | 'reset'} */ (status) } },
  fast: [403, 200, 'reset'].includes(status),
  bounds: { usableMs: 500, transport: 'sse', reason: /^ws:/, more: (measured) => [againTooSoon(measured)] },
}))

/** @param {string} name @param {import('../../support/middlebox.js').Rule} ws @returns {import('../paths.js').Path} */
const mute = (name, ws, fast = false) => ({
  name,
  bound: 'usable ≤ 1.5 s, WS left',
  rules: { ws },
  fast,
  story: () => pass(LEFT_MS),
  bounds: {
    usableMs: 1500,
    transport: 'sse',
    reason: /^ws:/,
    more: (measured) => [againTooSoon(measured), measured.ways.length > 1 && 'it changes more than once'],
  },
})

/** @param {number} ageMs @returns {import('../paths.js').Path} */
const killed = (ageMs) => ({
  name: `101, then killed after ${ageMs} ms`,
  bound: 'off WS after two tries, ≤ 3 s, no flapping',
  rules: { ws: { ageMs, cutAs: 'reset' } },
  fast: ageMs === 200,
  story: () => pass(LEFT_MS),
  bounds: {
    transport: 'sse',
    reason: /^ws:/,
    more: (measured) => [
      askedFor(measured, 'WS') > 2 && `WS is tried ${askedFor(measured, 'WS')} times`,
      (measured.ways.at(-1)?.at ?? 0) - measured.beganAt > 3000 && `off WS only after ${measured.ways.at(-1).at - measured.beganAt} ms`,
    ],
  },
})

/** @type {import('../paths.js').Path[]} */
export const mutePaths = [
  mute('Upgrade swallowed', { swallow: true }, true),
  mute('101, then mute both ways', { mute: 'both' }),
  mute('101, then mute down', { mute: 'down' }, true),
  mute('101, then mute up', { mute: 'up' }, true),
  {
    name: 'Upgrade answered after 4 s',
    bound: 'usable ≤ 1.5 s',
    rules: { ws: { lateMs: 4000 } },
    story: () => pass(LEFT_MS),
    // A late Upgrade is still accepted, so either transport may carry at the end.
    bounds: { usableMs: 1500, transport: 'ws|sse' },
  },
  ...[50, 200, 500].map(killed),
  {
    name: 'WS mute after 3 s',
    bound: 'no event later than 2 heartbeats',
    rules: { ws: { mute: 'both', muteAfterMs: 3000 } },
    flags: ['--heartbeat', '2s'],
    fast: true,
    story: () => pass(12_000),
    bounds: { usableMs: 200, transport: 'sse', worstMs: 5000, reason: /^ws:/ },
  },
  {
    name: 'WS cut in mid-frame after 2 s',
    bound: 'exactly once',
    rules: { ws: { tearMs: 2000, cutAs: 'reset' } },
    story: () => pass(9000),
    bounds: { usableMs: 200, worstMs: 1500 },
  },
]
