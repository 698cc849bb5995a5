/** A slow link, and far more history than it carries before the client must be usable. */
import { pass, until } from '../journey.js'

/** @typedef {import('../journey.js').World} World */

/** 400 kbit/s in each direction, and a queue of one round trip. */
const LINK = { bytesPerSecond: 50_000, queueBytes: 20_000 }
const ROUND_TRIP_MS = 400
const EVENTS = 300
const EVENT_BYTES = 3000
const USABLE_MS = 2500
/** How much of the history may be sent in all: after a cut, the part in flight is sent again. */
const SENT_MOST = 1.3
/** The time limit for half of the history, which takes about 10 s. */
const HALF_MOST_MS = 30_000
const ARRIVE_MOST_MS = 60_000
/** The most characters of `"n":300,`, with some room. */
const NUMBER_MOST = 20

/**
 * Records in the middlebox which numbers of the history were sent to which request, whatever its response is.
 * @param {World} world
 */
async function prepare({ publisher, box, found }) {
  publisher.padBytes = EVENT_BYTES
  for (let n = 0; n < EVENTS; n++) await publisher.one()
  publisher.padBytes = 0
  /** @type {Map<object, {url: string, numbers: number[], rest: string}>} */
  const readers = new Map()
  found.readers = readers
  found.asked = box.asked
  box.tap = (request, bytes) => {
    const reader = readers.get(request) ?? { url: request.url, numbers: [], rest: '' }
    readers.set(request, reader)
    const text = reader.rest + bytes.toString('latin1')
    const matches = [...text.matchAll(/"n":(\d+),/g)]
    for (const [, digits] of matches) if (Number(digits) <= EVENTS) reader.numbers.push(Number(digits))
    // A number may be split between two pieces.
    const last = matches.at(-1)
    reader.rest = text.slice(last ? last.index + last[0].length : 0).slice(-NUMBER_MOST)
  }
}

/** Returns the requests that were sent history. The pages of one reader count as one. @param {any} measured */
function history({ found }) {
  const readers = [...found.readers.values()].filter(({ numbers }) => numbers.length)
  const pages = readers.filter(({ url }) => /\/history\b/.test(url))
  const sent = readers.flatMap(({ numbers }) => numbers)
  // A request with `replay` accepts a shorter replay.
  const asking = found.asked.filter((/** @type {any} */ { url }) => /since(\.numbers)?=all/.test(url) && !/[?&]replay=/.test(url))
  return { attaches: readers.length - pages.length + Math.min(1, pages.length), sent, twice: sent.length - new Set(sent).size, asking }
}

/** @param {any} measured */
function progress({ caughtUpMs, hasLoaded, answeredMs, came }) {
  const lastMs = came.get(EVENTS)
  return [
    !hasLoaded && 'the channel never says that it is loading',
    !(caughtUpMs >= lastMs) && `caughtup comes at ${caughtUpMs} ms, the last of the history at ${lastMs} ms`,
    !(answeredMs < lastMs) && `usable at ${answeredMs} ms, the last of the history came at ${lastMs} ms`,
  ]
}

/** @param {World} world */
async function cutHalfWay(world) {
  await until(async () => (await world.call('seen')).heard.length > EVENTS / 2, HALF_MOST_MS)
  world.box.cut()
  await pass(1000)
}

/** @type {import('../paths.js').Path} */
const slow = {
  name: `400 kbit/s, ${ROUND_TRIP_MS} ms round trip, 900 kB of history`,
  bound: 'a publish answered ≤ 2.5 s; history asked for once, after it, complete',
  flags: ['--history-bytes', '16MiB'],
  rules: { delayMs: ROUND_TRIP_MS / 2, link: LINK },
  options: { isEager: true },
  everyMs: 1000,
  sayEveryMs: 1000,
  prepare,
  arriveMostMs: ARRIVE_MOST_MS,
  fast: true,
  inBrowsers: true,
  bounds: {
    answeredMs: USABLE_MS,
    mayBeCaptive: false,
    more(measured) {
      const { attaches, twice, asking } = history(measured)
      return [
        ...progress(measured),
        attaches !== 1 && `${attaches} readers were sent history`,
        twice > 0 && `${twice} events of the history were sent twice`,
        asking.length > 1 && `asked for the history ${asking.length} times: ${asking.map((/** @type {any} */ { kind }) => kind)}`,
      ]
    },
  },
}

/** @type {import('../paths.js').Path[]} */
export const historyPaths = [
  slow,
  { ...slow, name: `${slow.name}, Upgrade refused`, rules: { ...slow.rules, ws: { refuse: 403 } }, fast: false, inBrowsers: false },
  { ...slow, name: `${slow.name}, WS and SSE refused`, rules: { ...slow.rules, ws: { refuse: 403 }, sse: { refuse: 403 } }, fast: false, inBrowsers: false },
  ...[slow.rules, { ...slow.rules, ws: { refuse: /** @type {const} */ (403) } }].map((rules, index) => ({
    ...slow,
    name: `${slow.name}, cut in its middle${index ? ', Upgrade refused' : ''}`,
    bound: 'goes on at the last id; history sent in all < 1.3 times its size',
    rules,
    story: cutHalfWay,
    fast: !index,
    inBrowsers: false,
    bounds: {
      answeredMs: USABLE_MS,
      mayBeCaptive: false,
      more(/** @type {any} */ measured) {
        const { sent } = history(measured)
        return [...progress(measured), sent.length >= SENT_MOST * EVENTS && `${sent.length} events were sent of a history of ${EVENTS}`]
      },
    },
  })),
]
