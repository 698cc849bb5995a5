/** Paths and browsers on which open streams leave no connection for other requests. */
import { faults, pass, until } from '../journey.js'
import { PLAIN_NAME } from '../browsers.js'

/** @typedef {import('../journey.js').World} World */

const noWs = { ws: { refuse: /** @type {const} */ (403) } }
const TABS = 7
/** A request counts as hanging after 5 s, and then another transport is opened; in ms. */
const STARVED_MS = 10_000
/** Short polls are a second apart. Once they carry, a publish is answered within this time, in ms. */
const SAID_MS = 3000
const STAY_MS = 20_000
/** The time by which the client must have settled on short polls, in ms. */
const SETTLED_MS = 12_000

/** @param {any} measured */
function saidSoon({ answers }) {
  const late = answers.filter((/** @type {[number, number]} */ [tookMs, atMs]) => atMs > SETTLED_MS && tookMs > SAID_MS)
  return late.length > 0 && `${late.length} publishes took long, the first one ${late[0][0]} ms`
}

/** @param {World} world */
async function openTabs(world) {
  const { found } = world
  found.tabs = []
  for (let n = 2; n <= TABS; n++) await world.tab(`tab-${n}`)
}

/**
 * Connects all tabs. All of them are loaded before the first one connects, because a browser without a free
 * connection loads no page.
 * @param {World} world
 */
async function connectTabs(world) {
  for (const tab of world.tabs.values()) {
    await tab.call('go')
    await tab.call('say')
  }
  await world.call('say')
  const seats = [world, ...world.tabs.values()]
  const hasBegun = async () => (await Promise.all(seats.map((seat) => seat.call('seen')))).every(({ acknowledged, state }) => acknowledged && state === 'connected')
  await until(hasBegun, 3 * STARVED_MS)
  for (const tab of world.tabs.values()) await tab.call('speak', 1000)
  await pass(5000)
  for (const tab of world.tabs.values()) await tab.call('speak', 0)
}

/** Records the result of each tab, once nothing is in flight. @param {World} world */
async function lookAtTabs(world) {
  for (const [words, tab] of world.tabs) {
    await until(async () => isAnswered(await tab.call('seen')), STARVED_MS)
    const { beganAt, answeredAt, said, rejected, changes, state, heard } = await tab.call('seen')
    const ways = changes.map((/** @type {any} */ { to, reason }) => `${to} (${reason})`)
    world.found.tabs.push({ words, answeredMs: answeredAt && answeredAt - beganAt, said, rejected, ways, state, logged: await world.logged(words), heard: heard.length })
  }
}

/** @param {any} seen */
const isAnswered = ({ said, acknowledged, rejected }) => acknowledged + rejected.length === said

/** @param {any} measured */
const eachTab = ({ found }) =>
  (found.tabs ?? []).flatMap((/** @type {any} */ { words, answeredMs, said, rejected, state, ways, logged, heard }) => {
    const { lost, twice, disorder } = faults(logged, said)
    return [
      !(answeredMs <= STARVED_MS) && `${words}: the first publish is answered after ${answeredMs} ms (${state}: ${ways})`,
      ways.some((/** @type {string} */ way) => way.startsWith('captive')) && `${words}: it says captive`,
      rejected.length > 0 && `${words}: rejected: ${rejected.slice(0, 2)}`,
      (lost || twice || disorder) && `${words}: ${lost} lost, ${twice} twice, ${disorder} out of order of ${said}`,
      !heard && `${words}: it hears nothing`,
    ]
  })

/** @type {import('../paths.js').Path} */
const tabs = {
  name: 'seven tabs of one browser, Upgrade refused, HTTP/1.1',
  bound: 'each connects, and its first publish is answered ≤ 10 s',
  rules: noWs,
  engines: ['chromium', 'firefox'],
  everyMs: 500,
  sayEveryMs: 1000,
  prepare: openTabs,
  async story(world) {
    await connectTabs(world)
    await lookAtTabs(world)
  },
  inBrowsers: true,
  bounds: { mayBeCaptive: false, more: (measured) => [!measured.found.tabs?.length && 'no tab was looked at', ...eachTab(measured)] },
}

/** @type {import('../paths.js').Path[]} */
export const starvedPaths = [
  ...[1, 2].map((atOnce) => ({
    name: `${atOnce === 1 ? 'one connection' : 'two connections'} at a time, Upgrade refused`,
    bound: 'a publish answered ≤ 10 s, then each ≤ 3 s',
    rules: { ...noWs, all: { close: true }, atOnce },
    options: { isEager: true },
    everyMs: 500,
    sayEveryMs: 1000,
    story: () => pass(STAY_MS),
    fast: atOnce === 1,
    inBrowsers: atOnce === 1,
    bounds: { answeredMs: STARVED_MS, mayBeCaptive: false, more: (/** @type {any} */ measured) => [saidSoon(measured)] },
  })),
  {
    ...tabs,
    name: 'six connections at a time, seven clients, Upgrade refused',
    rules: { ...noWs, all: { close: true }, atOnce: 6 },
    engines: ['node'],
    inBrowsers: false,
  },
  tabs,
  {
    ...tabs,
    name: `${tabs.name}, without Web Locks`,
    host: PLAIN_NAME,
    async story(world) {
      world.found.hasLocks = (await world.call('seen')).hasLocks
      await tabs.story?.(world)
    },
    bounds: { ...tabs.bounds, more: (measured) => [measured.found.hasLocks && 'the page has Web Locks: the run shows nothing', ...(tabs.bounds.more?.(measured) ?? [])] },
  },
]
