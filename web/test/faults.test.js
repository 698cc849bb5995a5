/** What middleboxes do to responses. The client still delivers every event once and in order. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import WebSocket from 'ws'
import { connect } from '../dist/client.mjs'
import { story, TestHub, until } from './hub.js'

const numbers = (count) => [...Array(count).keys()]
const posted = (request) => request.method === 'POST' && request.url.startsWith('/send')

/** Publishes `count` events without waiting for the responses, and reads them back. */
async function everythingOnce(server, hub, count = 30) {
  const lobby = hub.channel('lobby')
  const seen = []
  lobby.addEventListener('message', (event) => seen.push(event.data))
  await hub.ready
  const answers = await Promise.all(numbers(count).map((number) => lobby.publish(number)))
  assert.equal(new Set(answers.map(({ id }) => id)).size, count)
  assert.deepEqual(server.events.map(({ data }) => data), numbers(count))
  await until(() => seen.length === count)
  assert.deepEqual(seen, numbers(count))
}

const posts = {
  'POST refused (405 of a proxy)': (request, response) => posted(request) && !!response.writeHead(405).end('<html>no</html>'),
  'POST hangs': (request) => posted(request),
  'POST reset': (request, response) => posted(request) && !!response.destroy(),
}
for (const [name, spoil] of Object.entries(posts)) {
  test(`${name}: published by GET, once and in order`, () =>
    story({ transports: ['sse'] }, async (server, hub) => {
      server.spoil = spoil
      await everythingOnce(server, hub, 8)
      assert.ok(server.requests.some((line) => line.startsWith('GET /pub?')))
    }))
}

test('an answer lost after handling, 1 in 2, and POSTs delivered twice: once and in order', () =>
  story({ transports: ['poll'] }, async (server, hub) => {
    let count = 0
    server.spoil = (request, response) => {
      if (!posted(request) || ++count % 2) return false
      // The request is handled, but its response is lost.
      const { end } = response
      response.end = () => response.destroy() && end
      return false
    }
    const lobby = hub.channel('lobby')
    await hub.ready
    const answers = []
    for (const number of numbers(6)) {
      answers.push(lobby.publish(number))
      await until(() => server.events.length > number)
    }
    await Promise.all(answers)
    assert.deepEqual(server.events.map(({ data }) => data), numbers(6))
  }))

test('what is too long for an address rejects where POST is blocked, and what follows goes through', () =>
  story({ transports: ['sse'] }, async (server, hub) => {
    server.spoil = posts['POST refused (405 of a proxy)']
    const lobby = hub.channel('lobby')
    await hub.ready
    await lobby.publish('short')
    const long = lobby.publish('x'.repeat(10_000))
    const after = lobby.publish('after')
    await assert.rejects(long, { code: 'post_blocked' })
    assert.ok((await after).id)
    assert.deepEqual(server.events.map(({ data }) => data), ['short', 'after'])
  }))

test('POST blocked: addresses over 500 bytes only after one of that length got through, and what finds no way rejects', () =>
  story({ transports: ['sse'] }, async (server, hub) => {
    const lengths = []
    server.spoil = (request, response) => {
      if (posted(request)) return posts['POST refused (405 of a proxy)'](request, response)
      if (!/^.(pub|healthz)/.test(request.url)) return false
      // The check whether the hub is there is a short `/healthz` without padding. It proves no length.
      if (request.url.startsWith('/healthz') && !request.url.includes('pad=')) return false
      lengths.push([request.url.slice(1, 4), server.address.length + request.url.length - 1])
      // A middlebox that refuses longer addresses.
      return lengths.at(-1)[1] > 1500 && !!response.writeHead(414).end()
    }
    const lobby = hub.channel('lobby')
    await hub.ready
    await lobby.publish('short')
    assert.deepEqual(lengths.map(([what, length]) => [what, length < 500]), [['pub', true]])
    await lobby.publish('x'.repeat(1000))
    const [, [what, proven], [then, length]] = lengths
    assert.deepEqual([what, then], ['hea', 'pub'])
    assert.ok(proven >= length && length > 1000, `${proven} ${length}`)
    lengths.length = 0
    await assert.rejects(lobby.publish('x'.repeat(2000)), { code: 'post_blocked', transport: 'sse' })
    assert.ok(lengths.every(([what]) => what === 'hea'))
    await lobby.publish('y'.repeat(900))
    assert.deepEqual(server.events.map(({ data }) => data.length), [5, 1000, 900])
  }))

test('a POST that was spoiled on the way is no refusal: it goes by GET', () =>
  story({ transports: ['sse'] }, async (server, hub) => {
    server.spoil = (request, response) => posted(request) && !!response.writeHead(400).end(JSON.stringify({ code: 'bad_json', hint: 'send JSON', status: 400 }))
    await everythingOnce(server, hub, 3)
  }))

test('101, then silence from the hub: usable within 1.5 s', () =>
  story({}, async (server, hub) => {
    server.spoilUpgrade = (request, socket) => {
      const key = request.headers['sec-websocket-key']
      import('node:crypto').then(({ createHash }) => {
        const accept = createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
      })
      return true
    }
    const began = Date.now()
    await everythingOnce(server, hub, 5)
    assert.equal(hub.transport, 'sse')
    assert.ok(Date.now() - began < 2500, `${Date.now() - began} ms`)
  }))

test('streams held whole and WS refused: polls within 3 s', () =>
  story({}, async (server, hub) => {
    server.spoilUpgrade = (request, socket) => !!socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
    server.spoil = (request) => request.url.startsWith('/sse')
    const began = Date.now()
    await hub.ready
    assert.equal(hub.transport, 'poll')
    assert.ok(Date.now() - began < 5000)
    await everythingOnce(server, hub, 5)
  }))

test('a probe that comes only with what follows it: not trusted', () =>
  story({ transports: ['sse', 'poll'] }, async (server, hub) => {
    server.pingAfterMs = 1400
    await hub.ready
    assert.equal(hub.transport, 'poll')
  }))

test('WS killed 100 ms after it opened: off it within 3 s, nothing lost', () =>
  story({}, async (server, hub) => {
    server.sockets.on('connection', () => {})
    const handle = server.sockets.handleUpgrade.bind(server.sockets)
    server.sockets.handleUpgrade = (request, socket, head, done) => {
      setTimeout(() => socket.destroy(), 100)
      handle(request, socket, head, done)
    }
    const lobby = hub.channel('lobby')
    const seen = []
    lobby.addEventListener('message', (event) => seen.push(event.data))
    await hub.ready
    const began = Date.now()
    let sent = 0
    const flow = setInterval(() => server.publish('lobby', sent++), 5)
    await until(() => hub.transport === 'sse')
    clearInterval(flow)
    assert.ok(Date.now() - began < 5000)
    await until(() => seen.length === sent)
    assert.deepEqual(seen, numbers(sent))
  }))

test('a captive portal at the start: state captive, few requests, and through when it lets go', () =>
  story({}, async (server, hub) => {
    let free = false
    server.spoilUpgrade = (request, socket) => !free && !!socket.end('HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n')
    server.spoil = (request, response) => !free && !!response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>')
    await until(() => hub.state === 'captive')
    await until(() => server.requests.some((line) => line.includes('/healthz')))
    assert.ok(server.requests.length <= 4, server.requests.join(' '))
    free = true
    await hub.ready
    assert.equal(hub.state, 'connected')
  }))

test('polls: an answer lost, one out of a cache, one from another hub: each event once', () =>
  story({ transports: ['poll'] }, async (server, hub) => {
    let count = 0
    let cached
    server.spoil = (request, response) => {
      if (!request.url.startsWith('/poll')) return false
      count++
      if (count % 5 === 3) return !!response.destroy()
      if (count % 5 === 4 && cached) return !!response.writeHead(200, { 'content-type': 'application/json' }).end(cached)
      const { end } = response
      response.end = (text) => end.call(response, (cached = text))
      return false
    }
    const lobby = hub.channel('lobby')
    const seen = []
    lobby.addEventListener('message', (event) => seen.push(event.data))
    await hub.ready
    for (const number of numbers(12)) {
      server.publish('lobby', number)
      await until(() => seen.length === number + 1, `${number}`, 20_000)
    }
    assert.deepEqual(seen, numbers(12))
  }))

test('polls out of a cache that looks at the path alone: asked for by POST', () =>
  story({ transports: ['poll'] }, async (server, hub) => {
    let cached
    server.spoil = (request, response) => {
      if (!request.url.startsWith('/poll') || request.method === 'POST') return false
      if (cached) return !!response.writeHead(200, { 'content-type': 'application/json' }).end(cached)
      const { end } = response
      response.end = (text) => end.call(response, (cached ??= text))
      return false
    }
    const lobby = hub.channel('lobby')
    const seen = []
    lobby.addEventListener('message', (event) => seen.push(event.data))
    await hub.ready
    for (const number of numbers(5)) {
      server.publish('lobby', number)
      await until(() => seen.length === number + 1, `${number}`)
    }
    assert.deepEqual(seen, numbers(5))
    assert.equal(hub.state, 'connected')
  }))

for (const status of [302, 307]) {
  test(`each address redirected once to itself, ${status}: followed, and what is said arrives`, () =>
    story({ transports: ['sse', 'poll'] }, async (server, hub) => {
      server.spoil = (request, response) =>
        !request.url.includes('seen') && !!response.writeHead(status, { location: `${request.url}${request.url.includes('?') ? '&' : '?'}seen` }).end()
      const lobby = hub.channel('lobby')
      const seen = []
      lobby.addEventListener('message', (event) => seen.push(event.data))
      await hub.ready
      assert.equal(hub.transport, 'sse')
      for (const number of numbers(3)) await lobby.publish(number)
      await until(() => seen.length === 3, 'all three')
      assert.deepEqual(seen, numbers(3))
    }))
}

test('a portal that redirects to its page: followed once, and never again', () =>
  story({ transports: ['poll'] }, async (server, hub) => {
    let pages = 0
    server.spoil = (request, response) => {
      if (!request.url.startsWith('/login')) return !!response.writeHead(302, { location: '/login' }).end()
      pages++
      return !!response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
    }
    await until(() => hub.state === 'captive', 'captive', 10_000)
    await until(() => server.requests.filter((line) => line.startsWith('GET /healthz')).length > 1, 'two looks', 10_000)
    assert.equal(pages, 1)
  }))

test('polls whose bodies are cut short and given as whole: the same poll again at once', () =>
  story({ transports: ['poll'] }, async (server, hub) => {
    let count = 0
    server.spoil = (request, response) => {
      if (!request.url.startsWith('/poll') || ++count % 3) return false
      return !!response.writeHead(200, { 'content-type': 'application/json' }).end(count % 2 ? '    ' : '  {"cursor":"e1-')
    }
    const lobby = hub.channel('lobby')
    const seen = []
    lobby.addEventListener('message', (event) => seen.push(event.data))
    await hub.ready
    for (const number of numbers(12)) {
      const began = Date.now()
      server.publish('lobby', number)
      await until(() => seen.length === number + 1, `${number}`, 20_000)
      assert.ok(Date.now() - began < 400, `${number} took ${Date.now() - began} ms`)
    }
    assert.deepEqual(seen, numbers(12))
  }))

test('a token that is refused is asked for once more; refused again, it is final', () =>
  story({ transports: ['sse'], token: () => 't' + ++asked }, async (server, hub) => {
    server.spoil = (request, response) => {
      if (request.headers.authorization !== 'Bearer t2') return !!response.writeHead(401).end(JSON.stringify({ code: 'unauthorized', hint: 'another token', credential: 'header', nonce: new URL(request.url, server.address).searchParams.get('nonce') }))
      return false
    }
    await hub.ready
    assert.equal(asked, 2)
    const other = connect(server.address, { transports: ['sse'], token: 'never' })
    await assert.rejects(other.ready, { code: 'unauthorized', hint: 'another token', status: 401 })
    assert.equal(other.state, 'closed')
  }))
let asked = 0

test('a token that expires between two POSTs is asked for anew, and the publish goes through', () => {
  let tokens = 0
  return story({ transports: ['sse'], token: () => 't' + ++tokens }, async (server, hub) => {
    const lobby = hub.channel('lobby')
    await hub.ready
    server.spoil = (request, response) =>
      request.headers.authorization === 'Bearer t1' && !!response.writeHead(401).end(JSON.stringify({ code: 'unauthorized', hint: 'another token', credential: 'header', nonce: new URL(request.url, server.address).searchParams.get('nonce') }))
    assert.ok((await lobby.publish('once')).id)
    assert.equal(tokens, 2)
  })
})

test('signals: an aborted publish rejects; one that was sent stays in its place; the hub closes', () => {
  const closing = new AbortController()
  return story({ transports: ['ws'], signal: closing.signal }, async (server, hub) => {
    const lobby = hub.channel('lobby')
    const waiting = new AbortController()
    const early = lobby.publish('never', { signal: waiting.signal })
    waiting.abort(new Error('changed my mind'))
    await assert.rejects(early, /changed my mind/)
    await hub.ready
    await lobby.publish('one')
    assert.deepEqual(server.events.map(({ data }) => data), ['one'])
    closing.abort()
    assert.equal(hub.state, 'closed')
  })
})

test('the queue is bounded: what is too much rejects at once, with a code', () =>
  story({ transports: ['ws'] }, async (server, hub) => {
    const lobby = hub.channel('lobby')
    const waiting = numbers(1000).map((number) => lobby.publish(number))
    await assert.rejects(lobby.publish('one too many'), { code: 'queue_full' })
    await Promise.all(waiting)
    assert.deepEqual(server.events.map(({ data }) => data), numbers(1000))
  }))

test('hub.report() says what was tried and why', () =>
  story({}, async (server, hub) => {
    server.spoilUpgrade = (request, socket) => !!socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    await hub.ready
    const report = await hub.report()
    assert.equal(report.transport, 'sse')
    assert.deepEqual(report.tries.map(({ transport }) => transport), ['ws', 'sse'])
    assert.equal(report.tries[0].ended, 'refused')
    assert.equal(report.why, 'ws:refused')
    assert.match(String(report), /connected over sse, because of ws:refused/)
  }))

test('a page of somebody else without Retry-After: one look for the hub at a time, no faster than one a second', () =>
  story({ transports: ['ws'] }, async (server, hub) => {
    await hub.ready
    const looks = []
    server.spoilUpgrade = (request, socket) => !!socket.end('HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n')
    server.spoil = (request, response) => request.url.startsWith('/healthz') && looks.push(Date.now()) && !!response.writeHead(302, { location: '/login' }).end('<html>')
    server.cut()
    // The client follows the very first redirect, which causes one more request.
    await until(() => looks.length === 4, 'looks')
    assert.ok(looks[3] - looks[1] > 1500, `${looks.map((at) => at - looks[0])} ms`)
  }))

test('a closed hub keeps no process alive', async () => {
  const server = await new TestHub().listen()
  try {
    // The last command never gets a response.
    const script = `import { connect } from '${new URL('../dist/client.mjs', import.meta.url)}'
      import WebSocket from '${import.meta.resolve('ws')}'
      const hub = connect('${server.address}', { WebSocket, transports: ['ws'] })
      hub.channel('lobby', { presence: true })
      await hub.ready
      hub.channel('lobby').publish(1).catch(() => {})
      hub.close()
      console.log('closed')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise((resolve) => child.on('exit', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    const closedAt = Date.now()
    assert.equal(await ended, 0)
    assert.ok(Date.now() - closedAt < 2500, `${Date.now() - closedAt} ms`)
  } finally {
    await server.close()
  }
})
