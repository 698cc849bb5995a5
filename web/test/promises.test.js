/** Promises of the client that were broken once, against the hub of hub.js. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'
import { connect } from '../dist/client.mjs'
import { TestHub, until } from './hub.js'

/** @param {(server: TestHub, hub: any) => Promise<void>} body @param {any} [options] */
async function withHub(body, options) {
  const server = await new TestHub().listen()
  const hub = connect(server.address, { WebSocket, ...options })
  try {
    await body(server, hub)
  } finally {
    hub.close()
    await server.close()
  }
}

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
    // The page is asked for, and its reply is lost.
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
