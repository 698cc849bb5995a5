/** WebSockets that work only partly: no large frames, no control frames, not for long, or not every time. */
import { pass } from '../journey.js'
import { askedFor } from '../judge.js'

const KIB = 1024
/** Fast heartbeats, so that some fit into a test. */
const HEARTBEAT = ['--heartbeat', '2s']
/** More than six heartbeats, in ms: the hub ends a peer that was silent for two. */
const BEATS_MS = 15_000
const NEVER_MS = 3_600_000

/** @param {any} measured */
const lostOften = ({ changes }) => {
  const lost = changes.filter((/** @type {any} */ { what, to }) => what === 'transport' && !to)
  return lost.length > 2 && `without a transport ${lost.length} times: ${lost.map((/** @type {any} */ { atMs, reason }) => `${reason} at ${atMs} ms`)}`
}

/** @type {import('../paths.js').Path[]} */
export const partPaths = [
  {
    name: 'WS frames over 4 KiB cut it',
    bound: 'off WS after three tries, no event over 4 s',
    rules: { ws: { frameMost: 4 * KIB, cutAs: 'reset' } },
    padBytes: 6000,
    everyMs: 1000,
    story: () => pass(10_000),
    bounds: { usableMs: 3000, transport: 'sse', reason: /^ws:/, worstMs: 4000, more: (measured) => [askedFor(measured, 'WS') > 3 && `WS is tried ${askedFor(measured, 'WS')} times`] },
  },
  {
    name: 'WS cut after 8 KiB',
    bound: 'off WS after three tries, no event over 1 s',
    rules: { ws: { bytesMost: 8 * KIB, cutAs: 'reset' } },
    story: () => pass(10_000),
    bounds: { usableMs: 1000, transport: 'sse|poll', worstMs: 1000, more: (measured) => [askedFor(measured, 'WS') > 3 && `WS is tried ${askedFor(measured, 'WS')} times`] },
  },
  {
    name: 'every answer cut after 8 KiB',
    bound: 'no event over 1 s',
    rules: { all: { bytesMost: 8 * KIB, cutAs: 'reset' } },
    story: () => pass(15_000),
    bounds: { usableMs: 1000, worstMs: 1000 },
  },
  { name: 'WS handed on in fragments of 16 bytes', bound: 'WS ≤ 0.2 s', rules: { ws: { fragment: 16 } }, bounds: { usableMs: 200, transport: 'ws' } },
  {
    name: 'every other Upgrade refused',
    fast: true,
    bound: 'usable ≤ 0.5 s, no event over 1 s',
    rules: { ws: { refuse: 403, refuseNth: 2 } },
    async story({ box }) {
      for (let time = 0; time < 2; time++) {
        await pass(1500)
        box.cut()
      }
      await pass(4000)
    },
    bounds: { usableMs: 500, worstMs: 1000 },
  },
  ...[true, false].map((isQuiet) => ({
    name: `WS without pings and pongs${isQuiet ? ', quiet' : ''}`,
    bound: 'no transport for a moment twice at most',
    rules: { ws: { dropPings: true } },
    flags: HEARTBEAT,
    everyMs: isQuiet ? NEVER_MS : 700,
    sayEveryMs: 0,
    story: () => pass(BEATS_MS),
    bounds: { usableMs: 1000, worstMs: 1000, more: (/** @type {any} */ measured) => [lostOften(measured)] },
  })),
  ...[true, false].map((isQuiet) => ({
    name: `WS mute up after 3 s, ${isQuiet ? 'nobody speaking' : 'speaking'}`,
    bound: 'no transport for a moment twice at most',
    rules: { ws: { mute: /** @type {const} */ ('up'), muteAfterMs: 3000 } },
    flags: HEARTBEAT,
    everyMs: 300,
    sayEveryMs: isQuiet ? 0 : 100,
    story: () => pass(BEATS_MS + 5000),
    bounds: { usableMs: 1000, worstMs: 1500, more: (/** @type {any} */ measured) => [lostOften(measured)] },
  })),
  {
    name: 'WS mute down after 3 s',
    bound: 'no event later than 2 heartbeats (2 s each)',
    rules: { ws: { mute: 'down', muteAfterMs: 3000 } },
    flags: HEARTBEAT,
    story: () => pass(12_000),
    bounds: { usableMs: 1000, worstMs: 5000, reason: /^ws:/ },
  },
]
