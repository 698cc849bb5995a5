/** The middlebox for tests. Tested with raw bytes: the hub is a script, and the client is a socket. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { chunk, get, STREAM, SWITCHED, UPGRADE, whole, world } from './support/raw.js'

test('two requests on one connection are handed on, chunked bodies too', async () => {
  const { ask, asked } = await world({})
  const client = await ask('POST /pub/a HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n' + get('/poll/a'))
  const first = await asked()
  await first.sees('Content-Length: 5\r\n\r\nabcde')
  first.socket.end(whole('one'))
  await client.sees('one')
  const second = await asked(2)
  assert.match(second.text, /^GET \/poll\/a /)
  second.socket.end(STREAM + chunk('t') + chunk('wo') + '0\r\n\r\n')
  await client.sees('1\r\nt\r\n2\r\nwo\r\n0\r\n\r\n')
  assert.equal(client.ended, '')
})

for (const status of [400, 403, 404, 426, 502, 200]) {
  test(`an Upgrade is refused with ${status}, and nothing else is`, async () => {
    const { box, ask, asked, came } = await world({ ws: { refuse: status } })
    const client = await ask(UPGRADE)
    await client.ends()
    assert.match(client.text, new RegExp(`^HTTP/1.1 ${status} `))
    assert.equal(came.length, 0)
    const other = await ask(get('/poll/a'))
    const hub = await asked()
    hub.socket.end(whole('here'))
    await other.sees('here')
    assert.deepEqual(box.asked.map(({ kind, what }) => [kind, what]), [['ws', `refused ${status}`], ['poll', '']])
  })
}

test('refused by a reset', async () => {
  const { ask } = await world({ ws: { refuse: 'reset' } })
  const client = await ask(UPGRADE)
  await client.ends()
  assert.deepEqual([client.text, client.ended], ['', 'reset'])
})

test('swallowed: neither the hub nor the client hears of it', async () => {
  const { ask, box, came } = await world({ post: { swallow: true } })
  const client = await ask('POST /send HTTP/1.1\r\nHost: hub\r\nContent-Length: 2\r\n\r\n[]')
  while (!box.asked.length) await new Promise((resolve) => setTimeout(resolve, 5))
  // Another request that goes through and back proves that time has passed, without a sleep.
  const other = await ask(get('/healthz'))
  while (!came.length) await new Promise((resolve) => setTimeout(resolve, 5))
  came[0].socket.end(whole('ok'))
  await other.sees('ok')
  assert.deepEqual([client.text, client.ended, came.length], ['', '', 1])
})

test('answered late', async () => {
  const { ask, asked } = await world({ ws: { lateMs: 150 } })
  const client = await ask(UPGRADE)
  const began = Date.now()
  const hub = await asked()
  hub.socket.write(SWITCHED + 'hello')
  await client.sees('hello')
  assert.ok(Date.now() - began >= 140)
})

test('mute after the 101: up, down, and switched on while it runs', async () => {
  const { ask, asked, box } = await world({ ws: { mute: 'up' } })
  const client = await ask(UPGRADE)
  const hub = await asked()
  hub.socket.write(SWITCHED)
  await client.sees('101')
  client.socket.write('from the client')
  hub.socket.write('from the hub')
  await client.sees('from the hub')
  box.set({ ws: { mute: 'down' } })
  client.socket.write('heard again')
  await hub.sees('heard again')
  assert.ok(!hub.text.includes('from the client'))
  hub.socket.write('lost')
  box.set({})
  hub.socket.write('found')
  await client.sees((talk) => /found/.test(talk.text))
  assert.equal(client.ended, '')
})

test('cut by age, by idleness, and with a status where no head went out', async () => {
  const { ask, asked, box } = await world({ ws: { ageMs: 100 }, sse: { idleMs: 120 }, poll: { ageMs: 80, cutAs: 504 } })
  const socket = await ask(UPGRADE)
  const hub = await asked()
  hub.socket.write(SWITCHED)
  await socket.sees('101')
  assert.ok((await socket.ends()) >= 80)

  const stream = await ask(get('/sse/a'))
  const source = await asked(2)
  source.socket.write(STREAM)
  for (let piece = 0; piece < 6; piece++) {
    source.socket.write(chunk(`piece ${piece}`))
    await stream.sees(`piece ${piece}`)
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
  assert.equal(stream.ended, '')
  assert.ok((await stream.ends()) >= 60)

  const poll = await ask(get('/poll/a'))
  await asked(3)
  await poll.sees('504 Gateway Timeout')
  assert.equal(box.asked.length, 3)
})

test('held: whole, body, blocks, lag one', async () => {
  const { ask, asked, box } = await world({ sse: { hold: 'whole' } })
  /** Returns what the client sees before the end of the response, and after it. */
  const streamed = async (hold, count) => {
    box.set({ sse: { hold } })
    const client = await ask(get('/sse/a'))
    const hub = await asked(count)
    hub.socket.write(STREAM + chunk('12345'))
    // The mark takes another connection. When it arrives, everything that was to arrive has arrived.
    hub.socket.write(chunk('6789'))
    const other = await ask(get('/healthz'))
    const mark = await asked(count + 1)
    mark.socket.end(whole('mark'))
    await other.sees('mark')
    const before = client.text
    hub.socket.write('0\r\n\r\n')
    await client.sees('0\r\n\r\n')
    return [before.split('\r\n')[0], before.split('\r\n\r\n')[1] ?? '', client.text.split('\r\n\r\n')[1].replaceAll('\r\n', ' ')]
  }
  assert.deepEqual(await streamed('whole', 1), ['', '', '9 123456789 0'])
  assert.deepEqual(await streamed('body', 3), ['HTTP/1.1 200 OK', '', '9 123456789 0'])
  assert.deepEqual(await streamed(4, 5), ['HTTP/1.1 200 OK', '4\r\n1234\r\n4\r\n5678\r\n', '4 1234 4 5678 1 9 0'])
  assert.deepEqual(await streamed('lag', 7), ['HTTP/1.1 200 OK', '5\r\n12345\r\n', '5 12345 4 6789 0'])
})

test('gzip without flush, only for who takes it', async () => {
  const { ask, asked } = await world({ sse: { hold: 'gzip' } })
  const client = await ask(get('/sse/a', 'Accept-Encoding: gzip\r\n'))
  const hub = await asked()
  hub.socket.write(STREAM + chunk('hello') + '0\r\n\r\n')
  await client.sees('0\r\n\r\n')
  assert.match(client.text, /Content-Encoding: gzip/)
  const body = client.bytes.subarray(client.text.indexOf('\r\n\r\n') + 4)
  const pieces = []
  for (let rest = body; ; ) {
    const end = rest.indexOf('\r\n')
    const size = parseInt(rest.toString('latin1', 0, end), 16)
    if (!size) break
    pieces.push(rest.subarray(end + 2, end + 2 + size))
    rest = rest.subarray(end + 4 + size)
  }
  assert.equal(gunzipSync(Buffer.concat(pieces)).toString(), 'hello')
  const plain = await ask(get('/sse/a'))
  const other = await asked(2)
  other.socket.write(STREAM + chunk('hello'))
  await plain.sees('hello')
})

test('holding starts late', async () => {
  const { ask, asked, box } = await world({})
  const client = await ask(get('/sse/a'))
  const hub = await asked()
  hub.socket.write(STREAM + chunk('free'))
  await client.sees('free')
  box.set({ sse: { hold: 'body' } })
  hub.socket.write(chunk('held'))
  hub.socket.write('0\r\n\r\n')
  await client.sees('0\r\n\r\n')
  assert.ok(client.text.endsWith('4\r\nheld\r\n0\r\n\r\n'))
})

for (const status of [200, 302, 511]) {
  test(`captive with ${status}, whatever is asked`, async () => {
    const { ask, came } = await world({ all: { captive: status } })
    for (const request of [UPGRADE, get('/sse/a'), get('/healthz')]) {
      const client = await ask(request)
      await client.ends()
      assert.match(client.text, new RegExp(`^HTTP/1.1 ${status} `))
    }
    assert.equal(came.length, 0)
  })
}

test('a POST is handed on twice, its answer comes once', async () => {
  const { ask, asked, came } = await world({ post: { duplicate: true } })
  const client = await ask('POST /send HTTP/1.1\r\nHost: hub\r\nContent-Length: 2\r\n\r\n[]')
  await asked(2)
  for (const hub of came) hub.socket.end(whole('done'))
  await client.sees('done')
  assert.deepEqual(came.map(({ text }) => text.slice(-2)), ['[]', '[]'])
  assert.equal(client.text.split('done').length, 2)
})

test('one answer in two is lost after the hub acted', async () => {
  const { ask, asked } = await world({ post: { lose: 2 } })
  const post = 'POST /send HTTP/1.1\r\nHost: hub\r\nContent-Length: 2\r\n\r\n[]'
  const first = await ask(post)
  ;(await asked(1)).socket.end(whole('first'))
  await first.sees('first')
  const second = await ask(post)
  ;(await asked(2)).socket.end(whole('second'))
  await second.ends()
  assert.equal(second.text, '')
})

test('answers are kept: for the same address, or for one poll in two', async () => {
  const { ask, asked, came, box } = await world({ poll: { cache: 'url' } })
  const first = await ask(get('/poll/a?n=1'))
  ;(await asked(1)).socket.end(whole('one'))
  await first.sees('one')
  await (await ask(get('/poll/a?n=1'))).sees('one')
  assert.equal(came.length, 1)
  const other = await ask(get('/poll/a?n=2'))
  ;(await asked(2)).socket.end(whole('two'))
  await other.sees('two')
  box.set({ poll: { cache: 2 } })
  for (const [count, told] of [[3, 'three'], [4, 'four']]) {
    const poll = await ask(get(`/poll/a?n=${told}`))
    ;(await asked(count)).socket.end(whole(told))
    await poll.sees(told)
  }
  await (await ask(get('/poll/a?n=5'))).sees('four')
})

test('headers are lost', async () => {
  const { ask, asked } = await world({ all: { strip: ['authorization', 'unknown'] } })
  await ask(get('/sse/a', 'Authorization: Bearer x\r\nX-Mine: 1\r\nAccept: a/b\r\n'))
  const hub = await asked()
  assert.doesNotMatch(hub.text, /Authorization|X-Mine/)
  assert.match(hub.text, /Accept: a\/b/)
})

test('far away: a round trip for the handshake and one for the answer', async () => {
  const { ask, asked } = await world({ delayMs: 60 })
  const began = Date.now()
  const client = await ask(get('/healthz'))
  const hub = await asked()
  hub.socket.end(whole('far'))
  await client.sees('far')
  assert.ok(Date.now() - began >= 235, `${Date.now() - began} ms`)
})

test('torn: the first piece after a while is cut in its middle', async () => {
  const { ask, asked } = await world({ ws: { tearMs: 0, cutAs: 'end' } })
  const client = await ask(UPGRADE)
  const hub = await asked()
  hub.socket.write(SWITCHED)
  await client.ends()
  assert.equal(client.text.length, SWITCHED.length >> 1)
})

test('nobody behind it: 502; and what is no HTTP is cut', async () => {
  const { ask, box } = await world({})
  box.target = { port: 9 }
  const client = await ask(get('/healthz'))
  await client.sees('502 Bad Gateway')
  const other = await ask('no http\r\nat all\r\n\r\n')
  await other.ends()
  assert.equal(other.text, '')
})
