/** Guarantees of the client that were violated once. Tested with the hub of `hub.js`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'
import { connect } from '../dist/client.mjs'
import { story, TestHub, until } from './hub.js'

/** @param {any} request @param {any} response @param {string} code @param {number} status */
function refuse(request, response, code, status) {
  const nonce = new URL(request.url, 'http://x').searchParams.get('nonce')
  response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ code, status, hint: 'a hint', nonce }))
  return true
}

/** @param {(server: import('./hub.js').TestHub, hub: any) => Promise<void>} body @param {any} [options] */
const withHub = (body, options) => story(options, body)

for (const transport of ['ws', 'sse', 'poll']) {
  const options = { transports: [transport] }

  test(`a handle that is closed right after a publish holds up no other, over ${transport}`, () =>
    withHub(async (server, hub) => {
      await hub.ready
      const brief = hub.channel('brief')
      const began = Date.now()
      const first = brief.publish(1)
      brief.close()
      await Promise.all([first, hub.channel('other').publish(2)])
      assert.ok(Date.now() - began < 2000, `${Date.now() - began} ms`)
      assert.deepEqual(server.events.map(({ data }) => data), [1, 2])
    }, options))

  test(`a hub whose inbox is closed still publishes, over ${transport}`, () =>
    withHub(async (server, hub) => {
      hub.inbox.close()
      await hub.ready
      assert.ok((await hub.channel('@someone').publish(1)).id)
      assert.equal(hub.state, 'connected')
    }, options))

  test(`what one handle does with its data is nothing to another, over ${transport}`, () =>
    withHub(async (server, hub) => {
      const [one, other] = [hub.channel('lobby'), hub.channel('lobby')]
      const seen = []
      one.addEventListener('message', ({ data }) => data.list?.splice(0))
      other.addEventListener('message', ({ data }) => seen.push(data))
      await hub.ready
      server.publish('lobby', { list: [1, 2] })
      await until(() => seen.length === 1)
      assert.deepEqual(seen, [{ list: [1, 2] }])
    }, options))

  test(`a loop that waits can be given up, over ${transport}`, () =>
    withHub(async (server, hub) => {
      const loop = hub.channel('quiet')[Symbol.asyncIterator]()
      const waiting = loop.next()
      await hub.ready
      assert.deepEqual(await loop.return(), { done: true, value: undefined })
      assert.deepEqual(await waiting, { done: true, value: undefined })
    }, options))
}

test('a page of history that was damaged on its way is asked for again', () =>
  withHub(
    async (server, hub) => {
      server.publish('old', 1)
      let damaged = 0
      server.spoil = (request, response) => request.url.startsWith('/history') && !damaged++ && !!response.writeHead(200, { 'content-type': 'application/json' }).end('{"channel":"old","frames":[{"type":"event",,}],"cursor":"e1-1","more":false}')
      const seen = []
      hub.channel('old', { since: 'all' }).addEventListener('message', ({ data }) => seen.push(data))
      await until(() => seen.length === 1)
      assert.deepEqual([seen, damaged], [[1], 2])
    },
    { transports: ['sse'] },
  ))

test('history goes on by another transport where its socket was closed by the client', () =>
  withHub(async (server, hub) => {
    server.publish('old', 1)
    await hub.ready
    // The page of history is requested, and its reply is lost.
    const { send } = WebSocket.prototype
    let lost = 0
    WebSocket.prototype.send = function (message, ...more) {
      if (String(message).includes('"frames"')) lost++
      else send.call(this, message, ...more)
    }
    try {
      const seen = []
      const old = hub.channel('old', { since: 'all' })
      old.addEventListener('message', ({ data }) => seen.push(data))
      await until(() => lost === 1)
      hub.use('sse')
      await until(() => seen.length === 1)
      assert.equal(hub.transport, 'sse')
    } finally {
      WebSocket.prototype.send = send
    }
  }))

for (const transport of ['sse', 'poll']) {
  test(`a publish that expired holds up none behind it, over ${transport}`, () =>
    withHub(async (server, hub) => {
      await hub.ready
      const lobby = hub.channel('lobby')
      server.spoil = (request, response) => request.url.startsWith('/send') && !!response.writeHead(502).end()
      await assert.rejects(lobby.publish(1), /Not answered within 0.5 s/)
      const after = lobby.publish(2)
      server.spoil = () => false
      assert.ok((await after).id)
      assert.ok((await lobby.publish(3)).id)
      assert.deepEqual(server.events.map(({ data }) => data), [2, 3])
    }, { transports: [transport], timeout: 500 }))

  test(`a session that ended in the middle of its history and of its members is begun anew, over ${transport}`, () =>
    withHub(async (server, hub) => {
      server.publish('old', 1)
      await hub.ready
      let refused = new Set()
      server.spoil = (request, response) => {
        const [, path] = /^\/(history|presence)/.exec(request.url) ?? []
        if (!path || refused.has(path)) return false
        refused.add(path)
        return refuse(request, response, 'session_expired', 401)
      }
      const seen = []
      const old = hub.channel('old', { since: 'all' })
      old.addEventListener('message', ({ data }) => seen.push(data))
      const members = await old.members()
      assert.deepEqual(members.map(({ id }) => id), ['s1'])
      await until(() => seen.length === 1)
      assert.deepEqual([...refused].sort(), ['history', 'presence'])
      assert.equal(hub.state, 'connected')
    }, { transports: [transport] }))

  test(`a session key that the hub refuses is dropped, and reading continues at the cursor, over ${transport}`, () =>
    withHub(async (server, hub) => {
      const seen = []
      hub.channel('room').addEventListener('message', ({ data }) => seen.push(data))
      await hub.ready
      await until(() => server.readers.size)
      const refused = hub.session.id
      server.spoil = (request, response) => request.url.includes('session=') && request.url.startsWith('/' + transport) && refuse(request, response, 'session_expired', 401)
      server.cut()
      for (const socket of server.connections) socket.destroy()
      server.publish('room', 1)
      await until(() => seen.length === 1)
      assert.notEqual(hub.session.id, refused)
      assert.deepEqual(seen, [1])
      server.spoil = () => false
    }, { transports: [transport] }))

  test(`a list of members that is older than what was told meanwhile brings nobody back, over ${transport}`, () =>
    withHub(async (server, hub) => {
      const moves = []
      const room = hub.channel('room', { presence: true })
      for (const type of ['join', 'leave']) room.addEventListener(type, ({ member }) => moves.push(type + ' ' + member.id))
      await hub.ready
      await until(() => server.requests.some((line) => line.startsWith('GET /presence')))
      server.publish('$presence/room', { id: 's2', count: 2 }, { name: 'join' })
      await until(() => moves.length === 1)
      // The list is requested again after a cut. It arrives when one of its members has already left.
      let answer
      server.spoil = (request, response) => {
        if (!request.url.startsWith('/presence')) return false
        answer = () => response.writeHead(200, { 'content-type': 'application/json' }).end('{"count":2,"members":[{"id":"s1","since":1},{"id":"s2","since":2}]}')
        return true
      }
      server.publish('$presence/room', {}, { type: 'gap', name: undefined, reason: 'slow' })
      await until(() => answer)
      server.publish('$presence/room', { id: 's2', count: 1 }, { name: 'leave' })
      await until(() => moves.length === 2)
      answer()
      server.publish('$presence/room', { id: 's3', count: 2 }, { name: 'join' })
      await until(() => moves.length === 3)
      assert.deepEqual(moves, ['join s2', 'leave s2', 'join s3'])
    }, { transports: [transport] }))

  test(`no request outlives close() but the leave, over ${transport}`, () =>
    withHub(async (server, hub) => {
      server.publish('old', 1)
      await hub.ready
      const open = new Set()
      server.spoil = (request, response) => {
        if (request.url.startsWith('/send')) return false
        open.add(request.url)
        response.on('close', () => open.delete(request.url))
        return true
      }
      const old = hub.channel('old', { since: 'all' })
      old.members().catch(() => {})
      await until(() => open.size >= 2)
      hub.close()
      await until(() => !open.size)
      const { length } = server.requests
      await hub.closed
      await assert.rejects(old.members())
      await assert.rejects(old.publish(1))
      hub.channel('late', { since: 'all', presence: true })
      await new Promise((resolve) => setTimeout(resolve, 300))
      const late = server.requests.slice(length).filter((line) => !line.startsWith('POST /send'))
      assert.deepEqual(late, [])
    }, { transports: [transport] }))
}

test('an option that is null is as good as not given', () =>
  withHub(async (server, hub) => {
    await hub.ready
    assert.ok((await hub.channel('a').publish(1)).id)
  }, { timeout: null, transports: null, fetch: null, share: null, token: null, signal: null }))

test('bytes that one handle gives away come to the others', () =>
  withHub(async (server, hub) => {
    const seen = []
    const [one, other] = [hub.channel('a'), hub.channel('a')]
    one.addEventListener('message', ({ data }) => structuredClone(data, { transfer: [data] }))
    other.addEventListener('message', ({ data }) => seen.push(data.byteLength))
    await hub.ready
    server.publish('a', undefined, { bytes: Buffer.from([1, 2, 3]) })
    await until(() => seen.length === 1)
    assert.deepEqual(seen, [3])
  }))

for (const transport of ['ws', 'sse', 'poll']) {
  test(`the round trip is told, over ${transport}`, () =>
    withHub(async (server, hub) => {
      await hub.ready
      await hub.channel('a').publish(1)
      await until(() => hub.rtt !== undefined)
      assert.ok(hub.rtt < 1000)
    }, { transports: [transport] }))
}

test('a `token` that fails is reported once, whoever waits for it', async () => {
  const server = await new TestHub().listen()
  let calls = 0
  const hub = connect(server.address, {
    WebSocket,
    token: async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      throw new Error('fails ' + ++calls)
    },
  })
  const errors = []
  hub.addEventListener('error', ({ error }) => errors.push(error.message))
  hub.channel('a').members().catch(() => {})
  await until(() => calls >= 2)
  hub.close()
  await server.close()
  assert.ok(errors.length <= calls, `${errors.length} reports of ${calls} calls`)
  assert.equal(new Set(errors).size, errors.length)
})

test('where many are present their number alone is told after a hole', () =>
  withHub(async (server, hub) => {
    const told = []
    const room = hub.channel('room', { presence: true })
    for (const type of ['join', 'leave', 'count']) room.addEventListener(type, ({ count }) => told.push([type, count]))
    await hub.ready
    await until(() => server.requests.some((line) => line.startsWith('GET /presence')))
    const members = Array.from({ length: 1000 }, (_, n) => ({ id: 's' + n, since: 1 }))
    server.spoil = (request, response) => request.url.startsWith('/presence') && !!response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ count: 4321, members }))
    server.publish('$presence/room', {}, { type: 'gap', name: undefined, reason: 'slow' })
    await until(() => told.length)
    assert.deepEqual(told, [['count', 4321]])
  }, { transports: ['sse'] }))

test('members that could not be had after a hole are asked for again', () =>
  withHub(async (server, hub) => {
    const told = []
    const room = hub.channel('room', { presence: true })
    room.addEventListener('join', ({ member }) => told.push(member.id))
    await hub.ready
    await until(() => server.requests.some((line) => line.startsWith('GET /presence')))
    let times = 0
    server.spoil = (request, response) => {
      if (!request.url.startsWith('/presence')) return false
      if (times++) response.writeHead(200, { 'content-type': 'application/json' }).end('{"count":2,"members":[{"id":"s1","since":1},{"id":"s2","since":1}]}')
      else response.writeHead(502).end()
      return true
    }
    server.publish('$presence/room', {}, { type: 'gap', name: undefined, reason: 'slow' })
    await until(() => told.length)
    assert.deepEqual(told, ['s2'])
  }, { transports: ['sse'] }))

for (const [what, answer, code] of [
  ['a page answers everything', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), 'foreign'],
  ['a gateway answers 404', (response) => response.writeHead(404).end(), 'http_404'],
  ['a gateway answers 502', (response) => response.writeHead(502).end(), 'http_502'],
]) {
  test(`where ${what}, publishes and members() end with that reason`, () =>
    withHub(async (server, hub) => {
      server.spoil = (request, response) => !!answer(response)
      server.spoilUpgrade = (request, socket) => !!socket.end('HTTP/1.1 404 Not Found\r\n\r\n')
      const room = hub.channel('a')
      const publish = room.publish(1).catch((error) => error)
      const members = await room.members().catch((error) => error)
      for (const error of [await publish, members]) {
        assert.equal(error.code, code, String(error))
        assert.match(error.hint, /was not sent/)
      }
    }, { timeout: 1500 }))
}

test('without a hub, publishes and members() end as unreachable', async () => {
  const server = await new TestHub().listen()
  await server.close()
  const hub = connect(server.address, { WebSocket, timeout: 800 })
  const room = hub.channel('a')
  await assert.rejects(room.members(), { code: 'unreachable' })
  await assert.rejects(room.publish(1), { code: 'unreachable' })
  hub.close()
})

for (const transport of ['ws', 'sse']) {
  test(`the state tells the same reason as the transport when ${transport} is cut`, () =>
    withHub(async (server, hub) => {
      const reasons = []
      await hub.ready
      for (const type of ['state', 'transport']) hub.addEventListener(type, ({ to, reason }) => (to === 'reconnecting' || to === null) && reasons.push(reason))
      server.cut()
      await until(() => reasons.length === 2)
      assert.match(reasons[0], new RegExp(`^${transport}:(closed|killed|http)$`))
      assert.equal(reasons[1], reasons[0])
    }, { transports: [transport, 'poll'] }))
}
