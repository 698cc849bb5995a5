/** Scenarios with several tabs of one browser, which open and close in realistic orders. */
import { story } from './world.js'

/** @typedef {import('./world.js').Desk} Desk */

/** The script of each tab: opens a hub that shares, and records what it receives. */
const OPEN = async (/** @type {any} */ { client, address, transport, room, since }) => {
  const self = /** @type {any} */ (globalThis)
  self.problems ??= []
  self.addEventListener('unhandledrejection', (/** @type {any} */ { reason }) => self.problems.push(String(reason?.stack ?? reason)))
  self.addEventListener('error', (/** @type {any} */ { message }) => self.problems.push(message))
  const { connect } = await import(client)
  const hub = (self.hub = connect(address, { share: true, transports: [transport] }))
  Object.assign(self, { whispers: [], heard: [], incomplete: 0 })
  hub.addEventListener('state', (/** @type {any} */ { to }) => (self.incomplete += to === 'connected' && !(hub.session && hub.transport) ? 1 : 0))
  hub.inbox.addEventListener('message', (/** @type {any} */ { data }) => self.whispers.push(data))
  self.channel = hub.channel(room, { since })
  self.channel.addEventListener('message', (/** @type {any} */ { data }) => self.heard.push(data))
}
const LOOK = () => {
  const { hub, whispers, heard, problems, incomplete } = /** @type {any} */ (globalThis)
  return { state: hub?.state, session: hub?.session?.id, transport: hub?.transport, whispers, heard, problems, incomplete }
}
const SAY = async (/** @type {any} */ data) => (await /** @type {any} */ (globalThis).channel.publish(data)).id
const CLOSE = () => /** @type {any} */ (globalThis).hub.close()

/** @param {Desk} desk @param {any[]} pages @param {string} what */
async function allHear(desk, pages, what) {
  await desk.until(`all hear ${what}`, async () => {
    for (const page of pages) if (!(await page.evaluate(LOOK)).heard.includes(what)) return false
    return true
  })
}

/** @param {Desk} desk @param {any[]} pages */
async function areOneClient(desk, pages) {
  await desk.until('all are connected', async () => {
    for (const page of pages) if ((await page.evaluate(LOOK)).state !== 'connected') return false
    return true
  })
  const seen = []
  for (const page of pages) seen.push(await page.evaluate(LOOK))
  desk.is(new Set(seen.map(({ session }) => session)).size, 1, `one session: ${seen.map(({ session }) => session)}`)
  const mark = 'psst ' + Math.random()
  await desk.post('@' + seen[0].session, mark)
  await desk.until('every inbox hears', async () => {
    for (const page of pages) if (!(await page.evaluate(LOOK)).whispers.includes(mark)) return false
    return true
  })
  for (const page of pages) {
    const { whispers, problems, incomplete } = await page.evaluate(LOOK)
    desk.is(whispers.filter((/** @type {string} */ one) => one === mark).length, 1, 'each inbox once')
    desk.is(problems, [], 'errors of the page')
    desk.is(incomplete, 0, 'connected without session or transport')
  }
  await desk.until('one reader at the hub', async () => (await desk.metric('triway_readers')) === 1)
}

/** @param {number} item */
export function tabs(item) {
  story(item, 'the inbox event reaches a second load of the page, and the first tab', async (desk) => {
    const [first] = [await desk.page()]
    await first.evaluate(OPEN, desk.setting)
    await areOneClient(desk, [first])
    const second = await desk.page()
    await second.evaluate(OPEN, desk.setting)
    await areOneClient(desk, [first, second])
    await second.reload()
    await desk.isThere(second)
    await second.evaluate(OPEN, desk.setting)
    await areOneClient(desk, [first, second])
    await first.reload()
    await desk.isThere(first)
    await first.evaluate(OPEN, desk.setting)
    await areOneClient(desk, [first, second])
  })

  story(item, 'a lone tab that is loaded again, with what it learned before, hears its inbox; and so does one that follows', async (desk) => {
    const page = await desk.page()
    for (let load = 0; load < 3; load++) {
      await page.evaluate(OPEN, desk.setting)
      await areOneClient(desk, [page])
      await page.reload()
      await desk.isThere(page)
    }
    await page.evaluate(OPEN, desk.setting)
    const second = await desk.page()
    await second.evaluate(OPEN, desk.setting)
    await areOneClient(desk, [page, second])
  })

  story(item, 'three tabs that open at the same moment are one client', async (desk) => {
    const pages = [await desk.page(), await desk.page(), await desk.page()]
    await Promise.all(pages.map((page) => page.evaluate(OPEN, { ...desk.setting, since: 'all' })))
    await areOneClient(desk, pages)
    for (const [at, page] of pages.entries()) await page.evaluate(SAY, 'from ' + at)
    for (const at of pages.keys()) await allHear(desk, pages, 'from ' + at)
    for (const page of pages) desk.is((await page.evaluate(LOOK)).heard.length, 3, 'each word once')
  })

  story(item, 'the tab that reads goes while others come and speak', async (desk) => {
    const [first, second] = [await desk.page(), await desk.page()]
    await first.evaluate(OPEN, desk.setting)
    await second.evaluate(OPEN, desk.setting)
    await areOneClient(desk, [first, second])
    const third = await desk.page()
    await Promise.all([third.evaluate(OPEN, desk.setting), first.evaluate(CLOSE), second.evaluate(SAY, 'during')])
    await areOneClient(desk, [second, third])
    await allHear(desk, [second], 'during')
    await second.close()
    await areOneClient(desk, [third])
    await third.evaluate(SAY, 'alone')
    await allHear(desk, [third], 'alone')
  })

  story(item, 'inbox events that arrive while a tab loads break nothing and leave no hole', async (desk) => {
    const [first, second] = [await desk.page(), await desk.page()]
    await first.evaluate(OPEN, desk.setting)
    await areOneClient(desk, [first])
    const { session } = await first.evaluate(LOOK)
    let said = 0
    let isSpeaking = true
    const speaking = (async () => {
      for (; isSpeaking; await desk.pause()) await desk.post('@' + session, ++said)
    })()
    try {
      for (let load = 0; load < 3; load++) {
        await second.evaluate(OPEN, desk.setting)
        await desk.until('the second tab hears', async () => (await second.evaluate(LOOK)).whispers.length > 3)
        const { whispers, problems, incomplete } = await second.evaluate(LOOK)
        desk.is(whispers, Array.from(whispers, (_, at) => whispers[0] + at), 'consecutive')
        desk.is([problems, incomplete], [[], 0], 'errors of the second tab')
        await second.reload()
        await desk.isThere(second)
      }
    } finally {
      isSpeaking = false
      await speaking
    }
    await desk.until('the first tab has all', async () => (await first.evaluate(LOOK)).whispers.at(-1) === said)
    const numbers = (await first.evaluate(LOOK)).whispers.filter((/** @type {any} */ one) => typeof one === 'number')
    desk.is(numbers, Array.from({ length: said }, (_, at) => at + 1), 'each once and in order in the first tab')
  })

  story(item, 'inbox events that arrive while the reading tab is loaded again reach the other tabs without a hole', async (desk) => {
    let [leader, other] = [await desk.page(), await desk.page()]
    await leader.evaluate(OPEN, desk.setting)
    await areOneClient(desk, [leader])
    await other.evaluate(OPEN, desk.setting)
    await areOneClient(desk, [leader, other])
    const { session } = await other.evaluate(LOOK)
    let said = 0
    let isSpeaking = true
    const speaking = (async () => {
      for (; isSpeaking; await desk.pause()) await desk.post('@' + session, ++said)
    })()
    try {
      for (let load = 0; load < 3; load++) {
        const before = said
        await leader.reload()
        await desk.isThere(leader)
        await leader.evaluate(OPEN, desk.setting)
        await desk.until('the tab that stays hears on', async () => (await other.evaluate(LOOK)).whispers.at(-1) > before + 20)
        const { whispers, problems, incomplete } = await other.evaluate(LOOK)
        const numbers = whispers.filter((/** @type {any} */ one) => typeof one === 'number')
        desk.is(numbers, Array.from(numbers, (_, at) => numbers[0] + at), `load ${load}: consecutive`)
        desk.is([problems, incomplete], [[], 0], 'errors of the tab that stays')
        desk.is((await leader.evaluate(LOOK)).problems, [], 'errors of the tab that was loaded again')
      }
    } finally {
      isSpeaking = false
      await speaking
    }
    await areOneClient(desk, [leader, other])
  })
}
