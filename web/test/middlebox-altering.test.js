/** What the middlebox alters, cuts and silences. Tested with raw bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunk, get, STREAM, SWITCHED, UPGRADE, whole, world } from './support/raw.js'

const bytes = (...parts) => Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))))
/** Returns an unmasked frame. */
const frame = (first, payload) => bytes([first, payload.length], payload)

/** Returns client and hub of a switched connection, both after the 101. */
async function switched(rules) {
  const { ask, asked, box } = await world(rules)
  const client = await ask(UPGRADE)
  const hub = await asked()
  hub.socket.write(SWITCHED)
  await client.sees('101')
  return { client, hub, box }
}
const afterHead = ({ bytes }) => bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)

test('pings and pongs are lost, data is not, in both directions', async () => {
  const { client, hub } = await switched({ ws: { dropPings: true } })
  hub.socket.write(bytes(frame(0x89, 'p'), frame(0x81, 'data'), frame(0x8a, 'p')))
  await client.sees('data')
  client.socket.write(bytes(frame(0x8a, 'p'), frame(0x82, 'up')))
  await hub.sees('up')
  assert.deepEqual([...afterHead(client)], [...frame(0x81, 'data')])
  assert.deepEqual([...afterHead(hub)], [...frame(0x82, 'up')])
})

test('a frame goes on in fragments, its mask repeated', async () => {
  const { client, hub } = await switched({ ws: { fragment: 4 } })
  hub.socket.write(frame(0x81, 'sixsix'))
  await client.sees((talk) => afterHead(talk).length === 10)
  assert.deepEqual([...afterHead(client)], [...bytes(frame(0x01, 'sixs'), frame(0x80, 'ix'))])
  client.socket.write(bytes([0x82, 0x85], [9, 8, 7, 6], 'abcde'))
  await hub.sees((talk) => afterHead(talk).length === 17)
  assert.deepEqual([...afterHead(hub)], [...bytes([0x02, 0x84], [9, 8, 7, 6], 'abcd', [0x80, 0x81], [9, 8, 7, 6], 'e')])
})

test('a frame that comes in pieces is taken as one, and a large one ends it all', async () => {
  const { client, hub, box } = await switched({ ws: { frameMost: 8 } })
  const small = frame(0x81, 'eight888')
  hub.socket.write(small.subarray(0, 3))
  hub.socket.write(small.subarray(3))
  await client.sees('eight888')
  hub.socket.write(frame(0x81, 'more than'))
  await client.ends()
  assert.doesNotMatch(client.text, /more than/)
  assert.equal(box.cuts, 1)
})

test('cut after so many bytes', async () => {
  const { client, hub } = await switched({ ws: { bytesMost: SWITCHED.length + 20 } })
  hub.socket.write(frame(0x81, 'x'.repeat(10)))
  await client.sees('x'.repeat(10))
  hub.socket.write(frame(0x81, 'y'.repeat(10)))
  await client.ends()
  assert.doesNotMatch(client.text, /y/)
})

test('one request in two is refused, and says when to come again', async () => {
  const { ask, asked, box } = await world({ poll: { refuse: 503, refuseNth: 2, retryAfter: 3 } })
  const first = await ask(get('/poll/a'))
  ;(await asked()).socket.end(whole('one'))
  await first.sees('one')
  const second = await ask(get('/poll/b'))
  await second.ends()
  assert.match(second.text, /^HTTP\/1.1 503 [^]*Retry-After: 3\r\n/)
  assert.deepEqual(box.asked.map(({ what }) => what), ['', 'refused 503'])
})

test('a long address is refused, and each is redirected once to itself', async () => {
  const { ask, asked } = await world({ all: { addressMost: 30, redirect: 307 } })
  const long = await ask(get('/poll/' + 'a'.repeat(30)))
  await long.ends()
  assert.match(long.text, /^HTTP\/1.1 414 /)
  const first = await ask(get('/poll/a?x=1'))
  await first.ends()
  assert.match(first.text, /^HTTP\/1.1 307 [^]*Location: \/poll\/a\?x=1&seen=1\r\n/)
  const second = await ask(get('/poll/a?x=1&seen=1'))
  ;(await asked()).socket.end(whole('here'))
  await second.sees('here')
})

test('a cache that ignores the query', async () => {
  const { ask, asked, came } = await world({ poll: { cache: 'path' } })
  const first = await ask(get('/poll/a?n=1'))
  ;(await asked()).socket.end(whole('one'))
  await first.sees('one')
  const second = await ask(get('/poll/a?n=2'))
  await second.sees('one')
  assert.equal(came.length, 1)
})

test('half of a body is lost', async () => {
  const { ask, asked } = await world({ post: { halve: true } })
  await ask('POST /send HTTP/1.1\r\nHost: hub\r\nContent-Length: 8\r\n\r\nabcdefgh')
  const hub = await asked()
  await hub.sees('Content-Length: 4\r\n\r\nabcd')
  assert.doesNotMatch(hub.text, /e?fgh/)
})

test('another status, another type, an older HTTP', async () => {
  const { ask, asked, box } = await world({ sse: { status: 204 } })
  const client = await ask(get('/sse/a') + get('/healthz'))
  ;(await asked()).socket.write(STREAM + chunk('text'))
  await client.sees('204')
  // The response has ended for the client, even if the hub sends more. The next request gets a response.
  ;(await asked(2)).socket.end(whole('next'))
  await client.sees('next')
  assert.doesNotMatch(client.text, /text/)
  box.set({ sse: { type: 'text/plain', oldHttp: true } })
  const other = await ask(get('/sse/a'))
  ;(await asked(3)).socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n' + chunk('text') + '0\r\n\r\n')
  await other.ends()
  assert.match(other.text, /^HTTP\/1.0 200 OK\r\n/)
  assert.match(other.text, /\r\nContent-Type: text\/plain\r\n/)
  assert.match(other.text, /\r\n\r\ntext$/)
})

for (const [banner, wanted] of /** @type {const} */ ([['before', /\r\n<!--.*\r?\n[^]*one[^]*two/], ['within', /one[^]*<!--[^]*two/], ['after', /one[^]*two[^]*<!--/]])) {
  test(`a banner ${banner} the body`, async () => {
    const { ask, asked } = await world({ sse: { banner } })
    const client = await ask(get('/sse/a'))
    const hub = await asked()
    hub.socket.write(STREAM + chunk('one'))
    await client.sees('one')
    hub.socket.end(chunk('two') + '0\r\n\r\n')
    await client.sees('0\r\n\r\n')
    assert.match(client.text, wanted)
    assert.equal(client.text.match(/<!--/g)?.length, 1)
  })
}

test('the connection ends after each answer', async () => {
  const { ask, asked } = await world({ all: { close: true } })
  const client = await ask(get('/poll/a'))
  ;(await asked()).socket.end(whole('one'))
  await client.ends()
  assert.match(client.text, /Connection: close[^]*one$/)
})

test('held from so many bytes on; byte by byte', async () => {
  const { ask, asked, box } = await world({ sse: { hold: 'body', holdAfterBytes: 4 } })
  const client = await ask(get('/sse/a'))
  const hub = await asked()
  hub.socket.write(STREAM + chunk('four'))
  await client.sees('four')
  hub.socket.write(chunk('five') + chunk('six'))
  box.set({ sse: { hold: 'drip' } })
  const other = await ask(get('/sse/b'))
  ;(await asked(2)).socket.write(STREAM + chunk('ab'))
  await other.sees('1\r\na\r\n1\r\nb\r\n')
  assert.doesNotMatch(client.text, /five/)
})

test('each piece late, in order', async () => {
  const { ask, asked } = await world({ sse: { lagMs: 80 } })
  const client = await ask(get('/sse/a'))
  const hub = await asked()
  const began = Date.now()
  hub.socket.write(STREAM + chunk('one') + chunk('two'))
  await client.sees('two')
  assert.ok(Date.now() - began >= 80)
  assert.match(client.text, /one[^]*two/)
})

test('so many bytes per second, for all connections together', async () => {
  const { ask, asked } = await world({ bytesPerSecond: 10_000 })
  const one = await ask(get('/poll/a'))
  ;(await asked()).socket.end(whole('x'.repeat(1000)))
  const other = await ask(get('/poll/b'))
  const began = Date.now()
  ;(await asked(2)).socket.end(whole('y'.repeat(1000)))
  await other.sees('y'.repeat(1000))
  await one.sees('x'.repeat(1000))
  assert.ok(Date.now() - began >= 150, `${Date.now() - began} ms`)
})

test('what a word poisons is cut', async () => {
  const { client, hub } = await switched({ ws: { poison: 'bad' } })
  hub.socket.write(frame(0x81, 'good'))
  await client.sees('good')
  hub.socket.write(frame(0x81, 'a bad one'))
  await client.ends()
  assert.doesNotMatch(client.text, /bad/)
})

test('the end of the hub is hidden', async () => {
  const { client, hub, box } = await switched({ ws: { hideEnd: true } })
  hub.socket.end(frame(0x81, 'last'))
  await client.sees('last')
  const other = await switched({})
  other.hub.socket.end()
  await other.client.ends()
  assert.deepEqual([client.ended, box.open('ws')], ['', 1])
})

test('what is open goes silent, what comes later does not', async () => {
  const { client, hub, box } = await switched({})
  box.deaden()
  hub.socket.write(frame(0x81, 'unheard'))
  client.socket.write(frame(0x81, 'unheard'))
  const other = await world({})
  const later = await other.ask(get('/poll/a'))
  ;(await other.asked()).socket.end(whole('heard'))
  await later.sees('heard')
  assert.deepEqual([client.ended, hub.ended], ['', ''])
  assert.doesNotMatch(client.text + hub.text, /unheard/)
})

test('a stall holds what comes meanwhile, and loses nothing', async () => {
  const { client, hub, box } = await switched({})
  box.stall(100)
  const began = Date.now()
  hub.socket.write(frame(0x81, 'one'))
  hub.socket.write(frame(0x81, 'two'))
  await client.sees('two')
  assert.ok(Date.now() - began >= 99)
  assert.match(client.text, /one[^]*two/)
})

test('OPTIONS is refused, and nothing else', async () => {
  const { ask, asked } = await world({ options: { refuse: 405 } })
  const preflight = await ask('OPTIONS /send HTTP/1.1\r\nHost: hub\r\n\r\n')
  await preflight.ends()
  assert.match(preflight.text, /^HTTP\/1.1 405 /)
  const post = await ask('POST /send HTTP/1.1\r\nHost: hub\r\nContent-Length: 2\r\n\r\n[]')
  ;(await asked()).socket.end(whole('ok'))
  await post.sees('ok')
})
