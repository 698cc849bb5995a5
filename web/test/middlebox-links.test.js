/** The middlebox's link, gate and door, and the frames that it omits or delays. Tested with raw bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunk, get, STREAM, SWITCHED, UPGRADE, whole, world } from './support/raw.js'

const frame = (payload) => Buffer.concat([Buffer.from([0x81, payload.length]), Buffer.from(payload)])
const event = (n) => `data: {"type":"event","n":${n}}\n\n`
const bodyOf = ({ text }) => text.slice(text.indexOf('\r\n\r\n') + 4)

test('a link is as slow in both directions, and all connections share it in turn', async () => {
  const { ask, asked } = await world({ link: { bytesPerSecond: 50_000, queueBytes: 2800 } })
  const began = Date.now()
  const large = await ask(get('/poll/a'))
  ;(await asked()).socket.end(whole('x'.repeat(20_000)))
  const small = await ask('POST /send HTTP/1.1\r\nHost: hub\r\nContent-Length: 10000\r\n\r\n' + 'y'.repeat(10_000))
  ;(await asked(2)).socket.end(whole('small'))
  assert.ok(Date.now() - began >= 200, 'the body takes its time upwards')
  await small.sees('small')
  assert.ok(large.bytes.length < 20_000, 'the small answer does not wait for all of the large one')
  await large.sees((talk) => talk.bytes.length > 20_000)
  assert.ok(Date.now() - began >= 400, 'the large answer takes its time downwards')
})

test('a full link stops the hub, and nothing is lost', async () => {
  const { ask, asked } = await world({ link: { bytesPerSecond: 4_000_000, queueBytes: 2800 } })
  const client = await ask(get('/poll/a'))
  const hub = await asked()
  const body = Array.from({ length: 100_000 }, (_, n) => `${n},`).join('')
  hub.socket.end(whole(body))
  await client.sees('99999,')
  assert.equal(bodyOf(client), body)
})

test('one connection at a time: the second waits for the first, and leaves the line when it is gone', async () => {
  const { ask, asked, box, came } = await world({ atOnce: 1, all: { close: true } })
  const stream = await ask(get('/sse/a'))
  ;(await asked()).socket.write(STREAM + chunk('one'))
  await stream.sees('one')
  const impatient = await ask(get('/poll/a'))
  const patient = await ask(get('/poll/b'))
  await patient.sees(() => box.gate.waiting === 2, 'both to wait')
  impatient.socket.destroy()
  await patient.sees(() => box.gate.waiting === 1, 'one to give up')
  assert.equal(came.length, 1)
  stream.socket.destroy()
  const hub = await asked(2)
  assert.match(hub.text, /^GET \/poll\/b /)
  hub.socket.end(whole('two'))
  await patient.sees('two')
})

test('a script is appended to text and JSON, whatever their length says, and to nothing else', async () => {
  const { ask, asked } = await world({ all: { banner: 'script' } })
  const answered = async (type, count) => {
    const client = await ask(get('/poll/a'))
    ;(await asked(count)).socket.end(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: 4\r\n\r\n[12]`)
    await client.sees(type === 'image/png' ? '[12]' : '0\r\n\r\n')
    return bodyOf(client)
  }
  assert.match(await answered('application/problem+json', 1), /^4\r\n\[12\]\r\n\w+\r\n<script .*<\/script>\r\n0\r\n\r\n$/)
  assert.equal(await answered('image/png', 2), '[12]')
})

test('only one request in three is not refused', async () => {
  const { ask, asked, box } = await world({ poll: { refuse: 503, passNth: 3 } })
  for (const path of ['/poll/a', '/poll/b']) await (await ask(get(path))).sees('503')
  const third = await ask(get('/poll/c'))
  ;(await asked()).socket.end(whole('here'))
  await third.sees('here')
  assert.deepEqual(box.asked.map(({ what }) => what), ['refused 503', 'refused 503', ''])
})

test('a query is cut off, whole or in part, and a body is changed or emptied', async () => {
  const { ask, asked, box } = await world({ sse: { queryMost: 0 }, poll: { queryMost: 4 }, post: { body: 'changed' } })
  await ask(get('/sse?channels=a'))
  assert.match((await asked()).text, /^GET \/sse HTTP/)
  await ask(get('/poll?channels=a'))
  assert.match((await asked(2)).text, /^GET \/poll\?chan HTTP/)
  const post = 'POST /send HTTP/1.1\r\nHost: hub\r\nContent-Length: 4\r\n\r\n[{}]'
  await ask(post)
  await (await asked(3)).sees('Content-Length: 9\r\n\r\ndata=[{}]')
  box.set({ post: { body: 'emptied' } })
  await ask(post)
  const emptied = await asked(4)
  await emptied.sees('Content-Length: 0\r\n\r\n')
  assert.equal(bodyOf(emptied), '')
})

test('a door refuses what has no token, in the words of the hub', async () => {
  const { ask, asked, came } = await world({ all: { demand: 'secret' } })
  const refused = await ask(get('/poll/a?nonce=n1', 'Origin: http://page\r\n'))
  await refused.ends()
  assert.match(refused.text, /^HTTP\/1.1 401 [^]*Access-Control-Allow-Origin: http:\/\/page\r\n[^]*"code":"unauthorized"[^]*"nonce":"n1"/)
  const socket = await ask(UPGRADE)
  await socket.sees('"type":"bye","code":3501')
  assert.match(socket.text, /^HTTP\/1.1 101 /)
  assert.equal(came.length, 0)
  const ways = [get('/poll/a', 'Authorization: Bearer secret\r\n'), get('/poll/a', 'Cookie: a=b; token=secret\r\n'), get('/poll/a?session=key'), 'POST /poll HTTP/1.1\r\nHost: hub\r\nContent-Length: 18\r\n\r\n{"token":"secret"}', UPGRADE.replace('\r\n\r\n', '\r\nSec-WebSocket-Protocol: triway.v1, triway.bearer.c2VjcmV0\r\n\r\n')]
  for (const [index, way] of ways.entries()) {
    await ask(way)
    await asked(index + 1)
  }
})

test('whole frames are left out: blocks of a stream, however they are cut, and messages of a WebSocket', async () => {
  const { ask, asked, box } = await world({ sse: { omit: { every: 2, most: 1 } }, ws: { omit: { most: 0 } } })
  const stream = await ask(get('/sse/a'))
  const source = await asked()
  source.socket.write(STREAM + chunk(event(1) + event(2).slice(0, 10)) + chunk(event(2).slice(10) + 'data: {"type":"ping"}\n\n' + event(3) + event(4)))
  await stream.sees('"n":4')
  assert.deepEqual(stream.text.match(/"n":\d|ping/g), ['"n":1', 'ping', '"n":3', '"n":4'])

  const socket = await ask(UPGRADE)
  const hub = await asked(2)
  hub.socket.write(Buffer.concat([Buffer.from(SWITCHED), frame('{"type":"event","n":1}')]))
  await socket.sees('"n":1')
  box.set({ ws: { omit: { most: 1 } } })
  for (const payload of ['{"type":"event","n":2}', '{"type":"ping"}', '{"type":"event","n":3}']) hub.socket.write(frame(payload))
  await socket.sees('"n":3')
  assert.deepEqual(socket.text.match(/"n":\d|ping/g), ['"n":1', 'ping', '"n":3'])
})

test('a WebSocket lags by one frame, from the start or from the rule on; upwards it does not', async () => {
  const { ask, asked } = await world({ ws: { lag: true } })
  const client = await ask(UPGRADE)
  const hub = await asked()
  hub.socket.write(Buffer.concat([Buffer.from(SWITCHED), frame('one')]))
  await client.sees('101')
  client.socket.write(frame('up'))
  await hub.sees('up')
  assert.doesNotMatch(client.text, /one/)
  hub.socket.write(frame('two'))
  await client.sees('one')
  hub.socket.write(frame('three'))
  await client.sees('two')
  assert.doesNotMatch(client.text, /three/)
})

test('a delay varies by its jitter, and order is kept', async () => {
  const { ask, asked } = await world({ delayMs: 50, jitter: 0.5 })
  const client = await ask(get('/sse/a'))
  const hub = await asked()
  hub.socket.write(STREAM)
  for (let n = 0; n < 20; n++) hub.socket.write(chunk(`<${n}>`))
  await client.sees('<19>')
  assert.deepEqual(client.text.match(/<\d+>/g), Array.from({ length: 20 }, (_, n) => `<${n}>`))
})
