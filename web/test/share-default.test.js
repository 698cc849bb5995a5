/** Tabs that share a transport below WebSocket by default: when they do, when they do not, and what they keep. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'
import { connect } from '../client.js'
import { TestHub, until } from './hub.js'
import { locks } from './support/locks.js'

/** Runs `body` with tabs of one browser whose `navigator` is the given one. */
async function withBrowser(navigator, body) {
  const server = await new TestHub().listen()
  const page = new EventTarget()
  globalThis.addEventListener = page.addEventListener.bind(page)
  globalThis.location = { href: server.address }
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true })
  const hubs = []
  const come = async (options, since = 'all') => {
    const hub = connect(server.address, { WebSocket, transports: ['sse'], ...options })
    hubs.push(hub)
    const seen = []
    const gaps = []
    const lobby = hub.channel('lobby', { since })
    lobby.addEventListener('message', ({ data }) => seen.push(data))
    lobby.addEventListener('gap', ({ reason }) => gaps.push(reason))
    await hub.ready
    return { hub, lobby, seen, gaps }
  }
  try {
    await body(server, come)
  } finally {
    for (const hub of hubs) hub.close()
    delete globalThis.location
    await server.close()
  }
}

const sessionsOf = (tabs) => new Set(tabs.map(({ hub }) => hub.session.id)).size

test('tabs on a stream become one reader while events flow; none is lost, repeated or a gap', () =>
  withBrowser({ locks: locks() }, async (server, come) => {
    let said = 0
    const flow = setInterval(() => server.publish('lobby', ++said), 2)
    const tabs = [await come(), await come(), await come()]
    await until(() => server.readers.size === 1 && sessionsOf(tabs) === 1, 'one reader')
    const words = await Promise.all(tabs.map(({ lobby }, at) => lobby.publish('from ' + at)))
    assert.equal(new Set(words.map(({ id }) => id)).size, 3)
    tabs[0].hub.close()
    await until(() => server.readers.size === 1 && tabs[1].hub.state === 'connected', 'another one reads')
    const mark = said + 20
    await until(() => tabs.slice(1).every(({ seen }) => seen.includes(mark)), 'both hear on')
    clearInterval(flow)
    for (const { seen, gaps } of tabs.slice(1)) {
      const numbers = seen.filter((data) => typeof data === 'number')
      assert.deepEqual(numbers, Array.from(numbers, (_, at) => 1 + at))
      assert.deepEqual(gaps, [])
    }
  }))

test('publishes of the moment in which a tab joins another act once, in order', () =>
  withBrowser({ locks: locks() }, async (server, come) => {
    await come()
    const second = await come()
    const answers = []
    for (let n = 0; n < 100; n++) {
      answers.push(second.lobby.publish(n))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await Promise.all(answers)
    await until(() => server.readers.size === 1, 'one reader')
    assert.deepEqual(server.events.map(({ data }) => data), Array.from({ length: 100 }, (_, at) => at))
    await until(() => second.seen.length === 100, 'it hears its own')
  }))

test('each tab reads for itself with `share: false`, with another `info`, over WebSocket, and without Web Locks', async () => {
  await withBrowser({ locks: locks() }, async (server, come) => {
    const tabs = [await come({ share: false }), await come({ share: false }), await come({ info: 1 }), await come({ info: 2 }), await come({ transports: ['ws'] }), await come({ transports: ['ws'] })]
    await tabs[0].lobby.publish('all')
    await until(() => tabs.every(({ seen }) => seen.includes('all')))
    assert.equal(sessionsOf(tabs), 6)
    assert.equal(server.readers.size, 6)
  })
  await withBrowser({}, async (server, come) => {
    const tabs = [await come(), await come()]
    await tabs[0].lobby.publish('all')
    await until(() => tabs.every(({ seen }) => seen.includes('all')))
    assert.equal(sessionsOf(tabs), 2)
  })
})

test('a channel that the leader is refused is read by the tab that wants it, as itself', () =>
  withBrowser({ locks: locks() }, async (server, come) => {
    const tabs = [await come(), await come()]
    await until(() => server.readers.size === 1 && sessionsOf(tabs) === 1, 'one reader')
    const leader = [...server.readers][0]
    const follower = tabs[1]
    const secret = []
    follower.hub.channel('secret').addEventListener('message', ({ data }) => secret.push(data))
    leader.say({ type: 'refused', id: `e1-${server.head}`, channels: [{ channel: 'secret', error: { code: 'forbidden', hint: 'not with this token', status: 403 } }] })
    await until(() => sessionsOf(tabs) === 2 && server.readers.size === 2, 'it reads for itself')
    await until(() => [...server.readers].some((one) => one !== leader && one.reads('secret')), 'the channel')
    server.publish('secret', 'psst')
    server.publish('lobby', 'all')
    await until(() => secret.includes('psst') && tabs.every(({ seen }) => seen.at(-1) === 'all'))
  }))

test('a tab without any answer asks the others, which change to short polls', () =>
  withBrowser({}, async (server, come) => {
    const first = await come({ transports: ['sse', 'poll'] })
    const held = []
    let isFull = true
    // As if the browser had no free connection: only the tab that reads gets through, until it releases its
    // connection.
    server.spoil = ({ url }, response) => isFull && !url.includes('session=') && held.push(response)
    const second = connect(server.address, { WebSocket, transports: ['sse', 'poll'] })
    try {
      await until(() => first.hub.transport === 'poll', 'short polls')
      isFull = false
      for (const response of held) response.destroy()
      await second.ready
      assert.match(String(await first.hub.report()), /starved/)
    } finally {
      second.close()
    }
  }))
