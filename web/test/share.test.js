/**
 * Ten tabs share one reader. When the reader's tab is closed, no event is lost. The test provides the Web Locks.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'
import { connect } from '../client.js'
import { TestHub, until } from './hub.js'
import { locks } from './support/locks.js'

test('tabs share one reader; its death loses nothing', async () => {
  const server = await new TestHub().listen()
  // The events of the page, which Node does not have.
  const page = new EventTarget()
  globalThis.addEventListener = page.addEventListener.bind(page)
  Object.defineProperty(globalThis, 'navigator', { value: { locks: locks() }, configurable: true })
  const tabs = []
  try {
    for (let i = 0; i < 5; i++) server.publish('lobby', 'old ' + i)
    for (let i = 0; i < 4; i++) {
      const hub = connect(server.address, { WebSocket, share: true, transports: ['sse', 'poll'] })
      const seen = []
      const lobby = hub.channel('lobby', { since: 'last:2' })
      lobby.addEventListener('message', (event) => seen.push(event.data))
      tabs.push({ hub, lobby, seen })
      await hub.ready
      await until(() => seen.length === 2, `tab ${i} has its history: ${seen}`)
    }
    assert.deepEqual(tabs.map(({ seen }) => seen), Array(4).fill(['old 3', 'old 4']))
    assert.equal(server.readers.size, 1)
    assert.equal(new Set(tabs.map(({ hub }) => hub.session.id)).size, 1)

    const { id } = await tabs[2].lobby.publish('from a follower')
    assert.ok(id)
    await until(() => tabs.every(({ seen }) => seen.length === 3))

    tabs[3].hub.channel('other').addEventListener('message', (event) => tabs[3].seen.push(event.data))
    await until(() => server.requests.some((line) => line.includes('/sse') && line.includes('other')))
    await until(() => server.readers.size === 1)
    server.publish('other', 'only tab 3')
    await until(() => tabs[3].seen.length === 4)

    // A choice in one tab applies to all, since one tab reads for all.
    const changed = []
    tabs[1].hub.addEventListener('transport', ({ to }) => changed.push(to))
    tabs[2].hub.use('poll')
    await until(() => tabs.every(({ hub }) => hub.transport === 'poll'), 'all by polls')
    tabs[2].hub.use('sse')
    await until(() => tabs.every(({ hub }) => hub.transport === 'sse'), 'all by the stream')
    assert.deepEqual(changed, ['poll', 'sse'])

    let sent = 0
    const flow = setInterval(() => server.publish('lobby', sent++), 2)
    const answers = []
    const began = Date.now()
    tabs[0].hub.close()
    for (let i = 0; i < 5; i++) answers.push(tabs[1].lobby.publish('p' + i), tabs[2].lobby.publish('q' + i))
    await until(() => server.readers.size === 1 && tabs[1].hub.transport === 'sse' && Date.now() - began > 400)
    clearInterval(flow)
    await Promise.all(answers)
    const expected = server.events.filter(({ channel }) => channel === 'lobby').map(({ data }) => data).slice(3)
    for (const { seen } of tabs.slice(1)) {
      await until(() => seen.filter((data) => data !== 'only tab 3').length === expected.length, `${seen.length} of ${expected.length}`)
      assert.deepEqual(seen.filter((data) => data !== 'only tab 3'), expected)
    }
    assert.equal(expected.filter((data) => /^[pq]/.test(data)).length, 10)
  } finally {
    for (const { hub } of tabs) hub.close()
    await server.close()
  }
})

test('tabs share a connection only as the same user, however their tokens change', async () => {
  const server = await new TestHub().listen()
  Object.defineProperty(globalThis, 'navigator', { value: { locks: locks() }, configurable: true })
  let minted = 0
  const jwt = (user) => () => ['{}', JSON.stringify({ sub: user, jti: minted++ })].map(btoa).join('.') + '.x'
  const tabs = []
  try {
    for (const [token, readers] of [[jwt('ann'), 1], [jwt('ann'), 1], [jwt('bob'), 2], ['opaque-1', 3], ['opaque-2', 4], ['opaque-1', 4], [undefined, 5]]) {
      const hub = connect(server.address, { WebSocket, share: true, transports: ['sse'], ...(token && { token }) })
      tabs.push(hub)
      hub.channel('lobby')
      await hub.ready
      await until(() => server.readers.size === readers, `${readers} readers`)
    }
  } finally {
    for (const hub of tabs) hub.close()
    await server.close()
  }
})

test('a page that goes into the cache of pages lets another tab lead, and follows when it is back', async () => {
  const server = await new TestHub().listen()
  Object.defineProperty(globalThis, 'navigator', { value: { locks: locks() }, configurable: true })
  const tabs = []
  const pages = []
  try {
    for (let i = 0; i < 2; i++) {
      const page = new EventTarget()
      pages.push(page)
      globalThis.addEventListener = page.addEventListener.bind(page)
      const hub = connect(server.address, { WebSocket, share: true, transports: ['sse'] })
      const seen = []
      hub.channel('lobby').addEventListener('message', ({ data }) => seen.push(data))
      tabs.push({ hub, seen })
      await hub.ready
    }
    pages[0].dispatchEvent(new Event('pagehide'))
    await until(() => server.readers.size === 1 && tabs[1].hub.state === 'connected' && server.requests.filter((line) => line.includes('/sse')).length === 2, 'the other tab leads')
    server.publish('lobby', 'while away')
    await until(() => tabs[1].seen.length === 1)
    pages[0].dispatchEvent(new Event('pageshow'))
    await until(() => tabs[0].hub.state === 'connected', 'back as a follower')
    server.publish('lobby', 'for both')
    await until(() => tabs.every(({ seen }) => seen.includes('for both')))
    for (const { seen } of tabs) assert.deepEqual(seen, ['while away', 'for both'])
    assert.equal(server.readers.size, 1)
  } finally {
    for (const { hub } of tabs) hub.close()
    await server.close()
  }
})

const { BroadcastChannel } = globalThis
/** The BroadcastChannel of the platform. A frozen page neither receives nor sends. */
class Wire {
  static made = []
  isAway = false
  onmessage = () => {}
  constructor(name) {
    this.real = new BroadcastChannel(name)
    this.real.onmessage = (event) => this.isAway || this.onmessage(event)
    Wire.made.push(this)
  }
  postMessage = (message) => this.isAway || this.real.postMessage(message)
  close = () => this.real.close()
}

/**
 * Runs `body` with tabs of one origin. Each has its own page events and records what it receives from `lobby` and
 * from its inbox.
 */
async function withTabs(body) {
  const server = await new TestHub().listen()
  Object.defineProperty(globalThis, 'navigator', { value: { locks: locks() }, configurable: true })
  globalThis.BroadcastChannel = Wire
  const tabs = []
  const come = async (how, transports = ['sse']) => {
    const page = new EventTarget()
    globalThis.addEventListener = page.addEventListener.bind(page)
    const hub = connect(server.address, { WebSocket, share: true, transports })
    const seen = []
    const tab = { hub, page, seen, open: (channel = 'lobby', more = how) => hub.channel(channel, more).addEventListener('message', ({ data }) => seen.push(data)) }
    hub.inbox.addEventListener('message', ({ data }) => seen.push(data))
    tabs.push(tab)
    if (how) tab.open()
    await hub.ready
    tab.wire = Wire.made.at(-1)
    return tab
  }
  try {
    await body(server, come)
  } finally {
    for (const { hub } of tabs) hub.close()
    globalThis.BroadcastChannel = BroadcastChannel
    await server.close()
  }
}
const isHistory = ({ url }, channel) => url.startsWith('/history?') && url.includes('channels=' + channel)
const readsOf = (server, name) => until(() => server.readers.size === 1 && [...server.readers].every((reader) => reader.reads(name)), `one reader of ${name}`)

test('a follower that was in the cache of pages hears what it missed, its inbox too, before what is live', () =>
  withTabs(async (server, come) => {
    const there = await come({})
    const away = await come({})
    const inbox = '@' + away.hub.session.id
    server.publish('lobby', 'first')
    await until(() => away.seen.length === 1)
    for (let round = 0; round < 2; round++) {
      away.seen.length = 0
      away.page.dispatchEvent(new Event('pagehide'))
      away.wire.isAway = true
      server.publish('lobby', 'said')
      server.publish(inbox, 'whispered')
      await until(() => there.seen.includes('whispered'))
      there.seen.length = 0
      away.wire.isAway = false
      away.page.dispatchEvent(new Event('pageshow'))
      server.publish('lobby', 'live')
      await until(() => away.seen.includes('live') && away.seen.includes('whispered'), `round ${round}: ${away.seen}`)
      assert.deepEqual(away.seen.filter((data) => data !== 'whispered'), ['said', 'live'])
    }
  }))

test('a history is read before anything live counts, is asked for again where it failed, and has bytes', () =>
  withTabs(async (server, come) => {
    await come({})
    server.publish('lobby', 1)
    server.publish('lobby', undefined, { bytes: Buffer.from([0, 10, 255]) })
    let refused = 0
    server.spoil = (request, response) => {
      if (!isHistory(request, 'lobby') || refused++) return false
      server.publish('lobby', 3)
      return !!response.writeHead(503).end()
    }
    const late = await come({ since: 'all' })
    await until(() => refused)
    server.publish('lobby', 4)
    await until(() => late.seen.length === 4, `${late.seen}`)
    assert.deepEqual(late.seen.map((data) => (data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data)), [1, [0, 10, 255], 3, 4])
  }))

for (const transports of [['ws'], ['sse']]) {
  test(`the tab that reads hears the history of a channel that it reads for another already, over ${transports}`, () =>
    withTabs(async (server, come) => {
      server.publish('late', 'before')
      const leader = await come(undefined, transports)
      const other = await come(undefined, transports)
      other.open('late', {})
      await readsOf(server, 'late')
      server.publish('late', 'live')
      await until(() => other.seen.length === 1)
      leader.open('late', { since: 'all' })
      await until(() => leader.seen.length === 2, `${leader.seen}`)
      assert.deepEqual(leader.seen, ['before', 'live'])
      assert.deepEqual(other.seen, ['live'])
    }))
}

test('the tab that reads goes while the next in line has not fetched its history: the others lose nothing', () =>
  withTabs(async (server, come) => {
    const first = await come({})
    server.spoil = (request) => isHistory(request, 'lobby') && request.url.includes('last')
    const next = await come({ since: 'last:1' })
    const other = await come({})
    server.publish('lobby', 1)
    await until(() => other.seen.length === 1)
    first.hub.close()
    server.publish('lobby', 2)
    server.publish('lobby', 3)
    await until(() => next.hub.state === 'connected' && server.requests.filter((line) => line.includes('/sse')).length > 1)
    server.publish('lobby', 4)
    await until(() => other.seen.length === 4, `${other.seen}`)
    assert.deepEqual(other.seen, [1, 2, 3, 4])
  }))

/** Returns a list that collects the error and close events of a channel. */
const ends = (channel) => {
  const seen = []
  for (const type of ['error', 'close']) channel.addEventListener(type, ({ error }) => seen.push(`${type} ${error?.code}`))
  return seen
}

test('a refused channel ends in the tabs that want it, and nowhere else', () =>
  withTabs(async (server, come) => {
    const tabs = [await come({}), await come({}), await come({})]
    const wanted = ends(tabs[1].hub.channel('secret'))
    const others = tabs.map(({ hub }) => ends(hub.channel('lobby')))
    await readsOf(server, 'secret')
    const [reader] = server.readers
    reader.say({ type: 'refused', id: `e1-${server.head}`, channels: [{ channel: 'secret', error: { code: 'forbidden', hint: 'not with this token', status: 403 } }] })
    await until(() => wanted.length === 2)
    assert.deepEqual(wanted, ['error forbidden', 'close forbidden'])
    tabs[0].open('more', {})
    await readsOf(server, 'more')
    assert.ok(![...server.readers][0].reads('secret'), 'it is asked for no more')
    server.publish('lobby', 'on')
    await until(() => tabs.every(({ seen }) => seen.includes('on')))
    assert.deepEqual(others, [[], [], []])
  }))

test('a final refusal of the reading tab ends every tab with the same error', () =>
  withTabs(async (server, come) => {
    const tabs = [await come({}), await come({})]
    const all = tabs.map(({ hub }) => ends(hub.channel('lobby')))
    server.spoil = (request, response) => {
      const url = new URL(request.url, server.address)
      if (url.pathname !== '/sse') return false
      return !!response.writeHead(403).end(JSON.stringify({ code: 'origin_refused', hint: 'list it', status: 403, nonce: url.searchParams.get('nonce') }))
    }
    server.cut()
    const errors = await Promise.all(tabs.map(({ hub }) => hub.closed.catch((error) => `${error.code} ${error.hint} ${error.status}`)))
    assert.deepEqual(errors, Array(2).fill('origin_refused list it 403'))
    assert.deepEqual(all, Array(2).fill(['error origin_refused', 'close origin_refused']))
  }))

test('errors of publishes through the reading tab keep code, hint and status', () =>
  withTabs(async (server, come) => {
    await come({})
    const other = await come({})
    server.spoil = (request, response) => {
      const url = new URL(request.url, server.address)
      if (url.pathname !== '/send') return false
      return !!response.writeHead(200).end(JSON.stringify([{ type: 'reply', ok: false, error: { code: 'forbidden', title: 'No', hint: 'not with this token', status: 403, nonce: url.searchParams.get('nonce') } }]))
    }
    await assert.rejects(other.hub.channel('lobby').publish(1), { code: 'forbidden', hint: 'not with this token', status: 403, name: 'TriwayError' })
  }))

test('a reading tab that is frozen is replaced, and follows when it is back', () =>
  withTabs(async (server, come) => {
    const frozen = await come({})
    const others = [await come({}), await come({})]
    frozen.wire.isAway = true
    server.publish('lobby', 'unheard')
    await until(() => others.every(({ seen }) => seen.includes('unheard')), 'another tab reads', 20_000)
    frozen.wire.isAway = false
    await until(() => server.readers.size === 1, 'one reader')
    server.publish('lobby', 'for all')
    await until(() => [frozen, ...others].every(({ seen }) => seen.includes('for all')))
    for (const { seen } of [frozen, ...others]) assert.deepEqual(seen, ['unheard', 'for all'])
  }))

test('a tab that follows says why nothing is reached, too', async () => {
  const server = await new TestHub().listen()
  server.spoil = (request, response) => !!response.writeHead(404).end()
  Object.defineProperty(globalThis, 'navigator', { value: { locks: locks() }, configurable: true })
  const options = { WebSocket, share: true, transports: /** @type {any} */ (['sse', 'poll']) }
  const leader = connect(server.address, options)
  leader.addEventListener('error', () => {})
  await until(() => leader.state === 'captive')
  const follower = connect(server.address, options)
  const states = []
  const errors = []
  follower.addEventListener('state', ({ to, error }) => states.push([to, error?.code]))
  follower.addEventListener('error', ({ error }) => errors.push(error))
  await until(() => errors.length)
  assert.deepEqual(states, [['captive', 'http_404']])
  assert.equal(errors[0].code, 'http_404')
  assert.ok(errors[0].message.startsWith(`No hub answers at ${server.address}: Something`), errors[0].message)
  assert.match(errors[0].hint, /address/)
  for (const hub of [leader, follower]) hub.close()
  await server.close()
})
