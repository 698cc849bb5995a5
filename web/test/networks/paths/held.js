/** Streams that are held in transit, with WS open, refused or swallowed. */
import { pass } from '../journey.js'

/** @typedef {import('../../support/middlebox.js').Rule} Rule */
const KIB = 1024
/** @type {[string, Rule, boolean?][]} */
const holds = [
  ['held whole', { hold: 'whole' }, true],
  ['body held', { hold: 'body' }],
  ['blocks of 4 KiB', { hold: 4 * KIB }, true],
  ['blocks of 64 KiB', { hold: 64 * KIB }],
  ['lag one', { hold: 'lag' }, true],
  ['gzip without flush', { hold: 'gzip' }],
]

const HEARTBEAT_MS = 2000
const FLAGS = ['--heartbeat', `${HEARTBEAT_MS}ms`]

/** The interval of a quiet channel. A busy one fills blocks by itself. */
const QUIET_MS = 400
/**
 * The numbers are far apart: while pieces follow each other fast, a middlebox that lags by one piece does no harm.
 */
const SELDOM = { everyMs: 3000, sayEveryMs: 0 }

/** @type {import('../paths.js').Path[]} */
export const heldPaths = [
  { name: 'stream held whole, WS open', bound: 'WS ≤ 0.2 s', rules: { sse: { hold: 'whole' } }, bounds: { usableMs: 200, transport: 'ws' } },
  ...holds.map(([name, sse, fast]) => ({
    name: `WS refused, stream ${name}`,
    bound: 'LP ≤ 3 s',
    rules: { ws: { refuse: 403 }, sse },
    everyMs: QUIET_MS,
    sayEveryMs: QUIET_MS,
    ...(sse.hold === 'lag' && SELDOM),
    fast,
    bounds: { usableMs: 3000, transport: 'poll', reason: /sse|ws/, worstMs: 2500 },
  })),
  ...holds.map(([name, sse], index) => ({
    name: `WS swallowed, stream ${name}`,
    bound: 'LP ≤ 3 s',
    rules: { ws: { swallow: true }, sse },
    everyMs: QUIET_MS,
    sayEveryMs: QUIET_MS,
    ...(sse.hold === 'lag' && SELDOM),
    fast: index === 0,
    bounds: { usableMs: 3000, transport: 'poll', reason: /sse|ws/, worstMs: 2500 },
  })),
  ...[QUIET_MS, 5 * HEARTBEAT_MS].map((everyMs) => ({
    name: `WS refused, stream held from 4 s on, ${everyMs === QUIET_MS ? 'with events' : 'quiet'}`,
    bound: 'left after ≤ 2 heartbeats (2 s each)',
    flags: FLAGS,
    everyMs,
    sayEveryMs: 0,
    rules: { ws: { refuse: 403 }, sse: { hold: /** @type {const} */ ('body'), holdAfterMs: 4000 } },
    fast: everyMs === QUIET_MS,
    story: () => pass(12_000),
    bounds: { usableMs: 500, transport: 'poll', worstMs: 2 * HEARTBEAT_MS + 500, more: (measured) => [leftAfter(measured, 4000) > 2 * HEARTBEAT_MS + 500 && `SSE is left only ${leftAfter(measured, 4000)} ms after holding began`] },
  })),
  {
    name: 'WS refused, stream lags one from 4 s on',
    bound: 'left after ≤ 2 heartbeats (2 s each)',
    flags: FLAGS,
    everyMs: 1700,
    sayEveryMs: 0,
    rules: { ws: { refuse: 403 }, sse: { hold: 'lag', holdAfterMs: 4000 } },
    story: () => pass(15_000),
    bounds: { usableMs: 500, transport: 'poll', more: (measured) => [leftAfter(measured, 4000) > 5 * HEARTBEAT_MS && `SSE is left only ${leftAfter(measured, 4000)} ms after holding began`] },
  },
]

/** @param {any} measured @param {number} fromMs after the start of the stream, which is that of the run here */
const leftAfter = ({ ways, beganAt }, fromMs) => (ways.find(({ to }) => to === 'poll')?.at ?? Infinity) - beganAt - fromMs
