/** Which responses come from the hub and which only seem to, and the exact messages that an application gets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'
import { connect } from '../dist/client.mjs'
import { story, until } from './hub.js'

for (const transport of ['ws', 'sse', 'poll']) {
  test(`${transport}: a reply that calls a publish bad is final; the next one goes through`, () =>
    story({ transports: [transport] }, async (server, hub) => {
      const lobby = hub.channel('lobby')
      await hub.ready
      const { answers } = server
      server.answers = new Map()
      server.answers.has = () => true
      server.answers.get = () => ({ ok: false, error: { code: 'bad_json', hint: 'send JSON', status: 400 } })
      await assert.rejects(lobby.publish(1), { code: 'bad_json', hint: 'send JSON', transport })
      server.answers = answers
      assert.ok((await lobby.publish(2)).id)
      assert.deepEqual(server.events.map(({ data }) => data), [2])
    }))
}

test('a hub that says 426 where no Upgrade was asked for may change its mind', () =>
  story({ transports: ['sse'] }, async (server, hub) => {
    let times = 0
    server.spoil = (request, response) =>
      request.url.startsWith('/sse') && ++times < 2 && !!response.writeHead(426).end(JSON.stringify({ code: 'upgrade_missing', hint: 'lost on the way', status: 426, nonce: new URL(request.url, server.address).searchParams.get('nonce') }))
    await hub.ready
    assert.equal(times, 2)
  }))

test('events have the properties that are documented, and no others', () =>
  story({ transports: ['sse'] }, async (server, hub) => {
    const lobby = hub.channel('lobby')
    const told = []
    for (const type of ['message', 'gap']) lobby.addEventListener(type, (event) => told.push([type, Object.keys(event).filter((key) => key !== 'isTrusted').sort().join()]))
    await hub.ready
    for (const reader of server.readers) reader.say({ type: 'gap', channel: 'lobby', after: 'e1-0', reason: 'evicted', id: 'e1-1', more: false })
    server.head = 1
    server.publish('lobby', 1, { from: 's9', other: 1 })
    await until(() => told.length === 2)
    assert.deepEqual(told, [['gap', 'after,channel,id,reason'], ['message', 'channel,data,from,id,name,time,via']])
  }))

test('what cannot be said rejects, and so does what comes after the hub was refused, with the same code as ever', () =>
  story({ transports: ['sse'] }, async (server, hub) => {
    const round = {}
    round.round = round
    await assert.rejects(hub.channel('lobby').publish(round), { code: 'bad_data' })
    server.spoil = (request, response) => !!response.writeHead(403).end(JSON.stringify({ code: 'forbidden', hint: 'not here', status: 403, nonce: new URL(request.url, server.address).searchParams.get('nonce') }))
    const other = connect(server.address, { transports: ['sse'] })
    await assert.rejects(other.ready, { code: 'forbidden' })
    await assert.rejects(other.channel('lobby').publish(1), { code: 'forbidden' })
  }))

test('a signal that is aborted already closes the hub, and who listens is told', async () => {
  const hub = connect('http://127.0.0.1:9/', { signal: AbortSignal.abort(), transports: ['poll'] })
  const states = []
  hub.addEventListener('state', ({ to }) => states.push(to))
  await assert.rejects(hub.ready, { code: 'closed' })
  assert.deepEqual(states, ['closed'])
})

test('on a WS what is left goes before what is joined, since a session has a bound', () => {
  const said = []
  class Heard extends WebSocket {
    send(message) {
      said.push(JSON.parse(message))
      super.send(message)
    }
  }
  return story({ transports: ['ws'], WebSocket: Heard }, async (server, hub) => {
    const old = hub.channel('old')
    await hub.ready
    hub.channel('new')
    old.close()
    await until(() => said.filter(({ type }) => /subscribe/.test(type)).length === 2)
    assert.deepEqual(said.filter(({ type }) => /subscribe/.test(type)).map(({ type, channel }) => type + ' ' + channel), ['unsubscribe old', 'subscribe new'])
  })
})
