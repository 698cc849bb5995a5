/** Middleboxes that omit whole frames, and WebSockets on which each frame waits for the next one. */
import { pass, until } from '../journey.js'

/** @typedef {import('../journey.js').World} World @typedef {import('../../support/middlebox.js').Rules} Rules */

const noWs = { ws: { refuse: /** @type {const} */ (403) } }
const HEARTBEAT_MS = 2000
const FLAGS = ['--heartbeat', `${HEARTBEAT_MS}ms`]
/**
 * A ping follows a second after the last event of a burst, or with the next heartbeat. The rest is for reading
 * again.
 */
const NOTICED_MS = HEARTBEAT_MS + 1500
/** How long an omitted event may take until the run counts it as lost, in ms. */
const AGAIN_MOST_MS = 10_000
const NEVER_MS = 3_600_000

/** A text that is only in the judged events. */
const NUMBERS = '"channel":"numbers"'

/** @typedef {'ws' | 'sse'} Carrier */
/** @param {Carrier} carrier @param {number} most @returns {Rules} */
const omitting = (carrier, most) => ({ ...(carrier === 'sse' && noWs), [carrier]: { omit: { of: NUMBERS, most } } })

/** Omits the next event, and waits until it has arrived all the same. @param {World} world @param {Carrier} carrier @param {boolean} isLast nothing follows it */
async function leaveOut(world, carrier, isLast) {
  const { box, publisher } = world
  await world.call('speak', 0)
  if (isLast) await publisher.every(0)
  // Events that were published earlier must not be the omitted one.
  await until(async () => hasHeard(await world.call('seen'), publisher.count - 1), 2000)
  const next = publisher.count + 1
  box.set(omitting(carrier, 1))
  if (isLast) await publisher.one()
  await until(async () => hasHeard(await world.call('seen'), Math.max(next, publisher.count)), AGAIN_MOST_MS)
  await until(() => box.counts[`left out ${carrier}`] === 1, 2000)
  world.found.leftOut = (world.found.leftOut ?? 0) + (box.counts[`left out ${carrier}`] ?? 0)
  await pass(NOTICED_MS)
  if (isLast) await publisher.every(200)
  await pass(500)
}

/** @param {any} seen @param {number} count */
const hasHeard = ({ heard }, count) => new Set(heard.map((/** @type {[number]} */ [n]) => n)).size >= count

/** @param {number} times @param {boolean} isTransportLeft @param {Carrier} carrier @returns {import('../judge.js').Bounds['more']} */
const told = (times, isTransportLeft, carrier) => ({ report, found, ways }) => [
  found.leftOut !== times && `${found.leftOut} events were left out, not ${times}: the run shows nothing`,
  !/incomplete/.test(report) && 'the report does not say that frames were missing',
  isTransportLeft && !ways.some((/** @type {any} */ { reason }) => reason === `${carrier}:incomplete`) && `${carrier} is not left as incomplete`,
]

const AFTER = { ws: 'sse', sse: 'poll' }
/** @type {[Carrier, boolean][]} */
const cases = [['ws', false], ['ws', true], ['sse', false], ['sse', true]]

/** @type {import('../paths.js').Path[]} */
export const omitPaths = [
  ...cases.map(([carrier, isLast]) => ({
    name: `one event left out on ${carrier.toUpperCase()}, ${isLast ? 'with nothing after it' : 'in the middle of a flow'}`,
    bound: 'noticed and read again ≤ 3.5 s, reported',
    flags: FLAGS,
    rules: omitting(carrier, 0),
    everyMs: 200,
    story: async (/** @type {World} */ world) => {
      await pass(2000)
      await leaveOut(world, carrier, isLast)
    },
    fast: isLast,
    inBrowsers: isLast,
    bounds: { usableMs: 1000, transport: carrier, worstMs: NOTICED_MS, more: told(1, false, carrier) },
  })),
  ...[/** @type {const} */ ('ws'), /** @type {const} */ ('sse')].map((carrier) => ({
    name: `one event left out twice on ${carrier.toUpperCase()}`,
    bound: 'noticed and read again ≤ 3.5 s; the second time on another transport',
    flags: FLAGS,
    rules: omitting(carrier, 0),
    everyMs: 200,
    story: async (/** @type {World} */ world) => {
      await pass(2000)
      await leaveOut(world, carrier, false)
      await leaveOut(world, carrier, true)
    },
    fast: carrier === 'ws',
    bounds: { usableMs: 1000, transport: AFTER[carrier], worstMs: NOTICED_MS, more: told(2, true, carrier) },
  })),
  ...[/** @type {const} */ ('ws'), /** @type {const} */ ('sse')].map((carrier) => ({
    name: `one event in 25 left out on ${carrier.toUpperCase()}`,
    bound: 'nothing missing in the end; another transport',
    flags: FLAGS,
    rules: { ...(carrier === 'sse' && noWs), [carrier]: { omit: { of: NUMBERS, every: 25 } } },
    everyMs: 100,
    story: () => pass(12_000),
    bounds: { usableMs: 1000, transport: `${AFTER[carrier]}|poll`, worstMs: NOTICED_MS },
  })),
]

/** How long the last event before a silence may take, in ms. */
const LAST_MOST_MS = 5000

/** How long to wait for replies, in ms. A held reply may never arrive. */
const ANSWER_MOST_MS = 1000

/** @param {any} seen */
const isAnswered = ({ said, acknowledged, rejected }) => acknowledged + rejected.length === said

/** Publishes a flow, then nothing. This shows how long the last event takes. @param {World} world */
async function flowAndSilence(world) {
  await pass(8000)
  await world.call('speak', 0)
  await world.publisher.every(0)
  // The replies to the client's publishes must not be what releases the last event.
  await until(async () => isAnswered(await world.call('seen')), ANSWER_MOST_MS)
  await world.publisher.one()
  world.mark('silent')
  await pass(LAST_MOST_MS + 3000)
}

/** @param {any} measured */
const neverByWs = ({ ways }) => [ways.some((/** @type {any} */ { from, to }) => to === 'ws' && from) && 'the WebSocket takes over from a working stream']

/** @type {import('../paths.js').Path[]} */
export const lagPaths = [
  ...[false, true].map((isQuiet) => ({
    name: `WS lags by one frame from the start${isQuiet ? ', few events' : ''}`,
    bound: 'it never takes over from a working stream; no event over 5 s, the last one too',
    rules: { ws: { lag: true } },
    ...(isQuiet && { everyMs: 2500, sayEveryMs: 0 }),
    story: flowAndSilence,
    fast: !isQuiet,
    inBrowsers: !isQuiet,
    bounds: { usableMs: 1000, transport: 'sse', worstMs: LAST_MOST_MS, more: (/** @type {any} */ measured) => neverByWs(measured) },
  })),
  ...[false, true].map((isQuiet) => ({
    name: `WS lags by one frame after 4 s${isQuiet ? ', few events' : ''}`,
    bound: 'no event over 5 s, the last one too',
    rules: { ws: { lag: true, lagAfterMs: 4000 } },
    ...(isQuiet && { everyMs: 2500, sayEveryMs: 0 }),
    story: flowAndSilence,
    fast: !isQuiet,
    inBrowsers: !isQuiet,
    bounds: { usableMs: 1000, worstMs: LAST_MOST_MS },
  })),
  {
    name: 'WS refused, later it lags by one frame',
    bound: 'it never takes over from SSE',
    rules: noWs,
    sayEveryMs: 500,
    async story(world) {
      await pass(2000)
      world.box.set({ ws: { lag: true } })
      // WS is tried again after 30 s.
      await pass(40_000)
      await flowAndSilence(world)
    },
    bounds: { usableMs: 1000, transport: 'sse', worstMs: LAST_MOST_MS, more: neverByWs },
  },
  {
    name: 'WS lags by one frame from the start, SSE and LP refused',
    bound: 'nothing is lost where there is no other way',
    rules: { ws: { lag: true }, sse: { refuse: 403 }, poll: { refuse: 403 } },
    everyMs: NEVER_MS,
    sayEveryMs: 500,
    story: () => pass(6000),
    bounds: {},
  },
]
