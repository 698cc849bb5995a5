/** One scenario over each transport, and over changes between transports, with the hub of `hub.js`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'
import { connect } from '../dist/client.mjs'
import { TestHub, until } from './hub.js'

const data = (events) => events.map((event) => event.data)

async function withHub(body) {
  const server = await new TestHub().listen()
  const hubs = []
  try {
    await body(server, (options) => {
      const hub = connect(server.address, { WebSocket, ...options })
      hubs.push(hub)
      return hub
    })
  } finally {
    for (const hub of hubs) hub.close()
    await server.close()
  }
}

for (const transport of ['ws', 'sse', 'poll']) {
  test(`history, live events, bytes, publishing and a late channel over ${transport}`, () =>
    withHub(async (server, open) => {
      for (let i = 0; i < 5; i++) server.publish('lobby', i)
      const hub = open({ transports: [transport] })
      const lobby = hub.channel('lobby', { since: 'last:3' })
      const seen = []
      lobby.addEventListener('message', (event) => seen.push(event))
      await hub.ready
      assert.equal(hub.transport, transport)
      assert.equal(hub.state, 'connected')
      await until(() => seen.length === 3)
      assert.deepEqual(data(seen), [2, 3, 4])
      const said = []
      lobby.on('chat', (data, event) => said.push([data, event.from]))
      const { id, reached } = await lobby.publish({ text: 'hi' }, { name: 'chat' })
      assert.match(id, /^e1-\d+$/)
      assert.ok(reached)
      await until(() => said.length === 1)
      assert.deepEqual(said[0], [{ text: 'hi' }, hub.session.id])
      await lobby.publish(new Uint8Array([0, 10, 255]).buffer)
      await until(() => seen.length === 5)
      assert.ok(seen[4].data instanceof ArrayBuffer)
      assert.deepEqual([...new Uint8Array(seen[4].data)], [0, 10, 255])

      server.publish('late', 'before')
      const late = hub.channel('late', { since: 'all' })
      const pulled = []
      ;(async () => {
        for await (const event of late) pulled.push(event.data)
      })()
      await until(() => pulled.length === 1)
      server.publish('late', 'after')
      server.publish('lobby', 'both')
      await until(() => pulled.length === 2 && seen.length === 6)
      assert.deepEqual(pulled, ['before', 'after'])
      hub.inbox.addEventListener('message', (event) => said.push(event))
      server.publish('@' + hub.session.id, 'psst')
      await until(() => said.length === 2)
      assert.equal(said[1].data, 'psst')
    }))
}

test('a cut loses nothing, repeats nothing, and keeps the order, whatever carries', () =>
  withHub(async (server, open) => {
    for (const transport of ['ws', 'sse', 'poll']) {
      const hub = open({ transports: [transport] })
      const seen = []
      hub.channel('busy').addEventListener('message', (event) => seen.push(event.data))
      await hub.ready
      let sent = 0
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 5; i++) server.publish('busy', sent++)
        server.cut()
        for (let i = 0; i < 5; i++) server.publish('busy', sent++)
        await until(() => seen.length === sent, `${transport} round ${round}: ${seen.length} of ${sent}`)
      }
      assert.deepEqual(seen, [...Array(sent).keys()])
      hub.close()
    }
  }))

test('hub.use changes the transport while events and publishes flow', () =>
  withHub(async (server, open) => {
    const hub = open()
    const lobby = hub.channel('lobby')
    const seen = []
    lobby.addEventListener('message', (event) => seen.push(event.data))
    const changes = []
    hub.addEventListener('transport', (event) => changes.push([event.from, event.to]))
    await hub.ready
    let sent = 0
    const answers = []
    const flow = setInterval(() => answers.push(lobby.publish(sent++)), 2)
    try {
      for (const transport of ['sse', 'poll', 'ws', 'poll', 'sse', 'ws']) {
        hub.use(transport)
        await until(() => hub.transport === transport)
      }
    } finally {
      clearInterval(flow)
    }
    await Promise.all(answers)
    await until(() => seen.length === sent, `${seen.length} of ${sent}`)
    assert.deepEqual(seen, [...Array(sent).keys()])
    assert.deepEqual(changes.map(([from, to]) => `${from}>${to}`), ['null>ws', 'ws>sse', 'sse>poll', 'poll>ws', 'ws>poll', 'poll>sse', 'sse>ws'])
  }))

test('what is published during an outage waits, and arrives once and in order', () =>
  withHub(async (server, open) => {
    const hub = open({ transports: ['ws'] })
    const lobby = hub.channel('lobby')
    await hub.ready
    server.spoilUpgrade = (request, socket) => !socket.destroy().closed || true
    server.cut()
    await until(() => hub.state === 'reconnecting')
    const answers = [0, 1, 2, 3].map((number) => lobby.publish(number))
    server.spoilUpgrade = () => false
    await Promise.all(answers)
    assert.deepEqual(data(server.events), [0, 1, 2, 3])
  }))

test('Upgrade refused: usable over SSE at once; streams refused too: over polls', () =>
  withHub(async (server, open) => {
    server.spoilUpgrade = (request, socket) => {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
      return true
    }
    let began = Date.now()
    const first = open()
    await first.ready
    assert.equal(first.transport, 'sse')
    assert.ok(Date.now() - began < 1500, `took ${Date.now() - began} ms`)
    server.spoil = (request, response) => request.url.startsWith('/sse') && !!response.writeHead(502).end('<html>')
    began = Date.now()
    const second = open()
    await second.ready
    assert.equal(second.transport, 'poll')
    assert.ok(Date.now() - began < 1500, `took ${Date.now() - began} ms`)
  }))

test('a hole is a gap event before the next event, told once', () =>
  withHub(async (server, open) => {
    const hub = open()
    const lobby = hub.channel('lobby')
    const told = []
    lobby.addEventListener('message', (event) => told.push(event.data))
    lobby.addEventListener('gap', (event) => told.push([event.reason, event.after]))
    await hub.ready
    const after = server.publish('lobby', 'one')
    await until(() => told.length === 1)
    server.events.push({ type: 'gap', channel: 'lobby', after, reason: 'evicted', id: `e1-${++server.head}` })
    server.publish('lobby', 'two')
    hub.use('sse')
    await until(() => hub.transport === 'sse')
    await until(() => told.length >= 3)
    assert.deepEqual(told, ['one', ['evicted', after], 'two'])
  }))

test('a cut between two gaps of one id hides neither', () =>
  withHub(async (server, open) => {
    const hub = open({ transports: ['sse'] })
    const told = []
    for (const name of ['one', 'two']) hub.channel(name).addEventListener('gap', ({ channel, reason }) => told.push([channel, reason]))
    await hub.ready
    const [reader] = server.readers
    const before = `e1-${server.head}`
    const gap = { type: 'gap', channel: 'one', after: before, reason: 'restart', id: 'e2-0', more: true }
    // The write has several gaps, and only the first one arrives.
    server.epoch = 'e2'
    let asked = ''
    server.spoil = ({ url }, response) => {
      if (!url.startsWith('/sse')) return false
      asked = new URL(url, server.address).searchParams.get('since')
      server.spoil = () => false
      return !!response.destroy()
    }
    reader.say(gap)
    await until(() => told.length === 1)
    reader.cut()
    await until(() => asked)
    assert.equal(asked, before)
    assert.deepEqual(told, [['one', 'restart']])
  }))

test('closing rejects what waits, with a code', () =>
  withHub(async (server, open) => {
    server.spoilUpgrade = () => true
    const hub = open({ transports: ['ws'] })
    const waiting = hub.channel('lobby').publish(1)
    hub.close()
    await assert.rejects(waiting, { code: 'closed' })
    await assert.rejects(hub.ready, { code: 'closed' })
    await assert.rejects(hub.channel('lobby').publish(1), { code: 'closed' })
    assert.equal(hub.state, 'closed')
  }))

test('a channel joined while another transport is being attached misses nothing', () =>
  withHub(async (server, open) => {
    const hub = open()
    hub.channel('lobby')
    await hub.ready
    hub.use('sse')
    const late = hub.channel('late')
    const seen = []
    late.addEventListener('message', (event) => seen.push(event.data))
    await until(() => [...server.readers].some((reader) => reader.reads('late')))
    server.publish('lobby', 'moves the cursor')
    const flow = setInterval(() => server.publish('late', seen.length), 1)
    const first = server.head
    await until(() => hub.transport === 'sse')
    await until(() => seen.length > 100)
    clearInterval(flow)
    const sent = server.events.slice(first).filter(({ channel }) => channel === 'late')
    await until(() => seen.length === sent.length, `${seen.length} of ${sent.length}`)
  }))

test('a transport asked for before the first hello: one session, and it carries', () =>
  withHub(async (server, open) => {
    // The application chooses a transport while the hello is on its way.
    const handle = server.sockets.handleUpgrade.bind(server.sockets)
    server.sockets.handleUpgrade = (request, socket, head, done) => setTimeout(() => handle(request, socket, head, done), 50)
    const hub = open()
    await until(() => server.requests.length)
    hub.use('poll')
    hub.use('sse')
    await until(() => hub.transport === 'sse')
    assert.equal(server.sessions, 1)
    assert.equal(hub.session.id, 's1')
    assert.equal((await hub.channel('lobby').publish(1)).id, 'e1-1')
    const early = open()
    early.use('sse')
    await early.ready
    assert.equal(early.transport, 'sse')
  }))

test('many channels with long names: over any transport', () =>
  withHub(async (server, open) => {
    for (const transport of ['ws', 'sse', 'poll']) {
      server.requests.length = 0
      const hub = open({ transports: [transport] })
      const seen = []
      for (let n = 0; n < 90; n++) hub.channel(`${transport} ${n} ${'x'.repeat(60)}`, { since: 'all' }).addEventListener('message', ({ channel }) => seen.push(channel))
      await hub.ready
      assert.ok(server.requests.every((line) => transport === 'ws' || line.length < 3000), server.requests.at(-1))
      const name = `${transport} 89 ${'x'.repeat(60)}`
      server.publish(name, 1)
      await until(() => seen.length)
      assert.deepEqual(seen, [name])
      hub.close()
    }
  }))

test('a first connect that is hedged shows one person, not two', () =>
  withHub(async (server, open) => {
    const closed = []
    const handle = server.sockets.handleUpgrade.bind(server.sockets)
    server.sockets.handleUpgrade = (request, socket, head, done) =>
      handle(request, socket, head, (ws) => {
        ws.on('close', (code) => closed.push(code))
        done(ws)
      })
    // The WS is accepted, but its hello is late: the stream carries first.
    const { send } = WebSocket.prototype
    let isLate = true
    WebSocket.prototype.send = function (message, ...more) {
      if (isLate && String(message).includes('"hello"')) return
      send.call(this, message, ...more)
    }
    try {
      const hub = open()
      hub.channel('lobby', { presence: true })
      await until(() => server.requests.some((line) => line.includes('/sse')))
      const asked = () => server.requests.filter((line) => !line.includes('/healthz'))
      const [first, beside] = asked()
      assert.match(first, /presence=watched/)
      assert.doesNotMatch(beside, /presence=watched/)
      await until(() => closed.length)
      assert.deepEqual(closed, [1000])
      isLate = false
      await until(() => asked().slice(2).some((line) => line.includes('presence=watched')) && hub.transport, 'shown as the one session')
      assert.ok(asked().slice(2).every((line) => /session=|^POST/.test(line)), server.requests.join(' '))
    } finally {
      WebSocket.prototype.send = send
    }
  }))
