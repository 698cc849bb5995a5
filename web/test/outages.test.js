/** Requests on bad paths: a dead keep-alive connection, a gateway without a hub, a response that arrives slowly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PageSize } from '../history.js'
import { Requests } from '../requests.js'
import { story, until } from './hub.js'

const HTTP = ['sse', 'poll']
/** Three requests may be in flight when an outage begins. After that, there is one per second. */
const FIRST = 3
const OUTAGE_MS = 5000
/** The longest time that a request is repeated is 4 s. */
const GIVEN_UP_MS = 5000

const isPoll = (request) => request.url.startsWith('/poll')
/** A request without a response: its connection stays silent. */
const swallow = () => true

test('a first poll without an answer is asked for on another connection, with the same nonce, and little later', async () => {
  const asked = []
  await story({ transports: HTTP }, async (server, hub) => {
    const heard = []
    hub.channel('a').on('message', (data) => heard.push(data))
    await hub.ready
    server.spoil = (request, response) => {
      if (request.url.startsWith('/sse')) return response.socket.destroy(), true
      if (!isPoll(request)) return false
      asked.push(new URL(request.url, server.address).searchParams.get('nonce'))
      return asked.length < 3 && swallow()
    }
    const beganAt = Date.now()
    server.cut()
    server.publish('a', 1)
    await until(() => heard.length)
    assert.ok(Date.now() - beganAt < 4000, `${Date.now() - beganAt} ms`)
    assert.ok(asked.length >= 3)
    assert.equal(new Set(asked.slice(0, 3)).size, 1)
  })
})

for (const status of [502, 503, 504]) {
  test(`while a gateway answers ${status}, everything that is repeated is one request a second in all`, async () => {
    await story({ transports: HTTP }, async (server, hub) => {
      hub.channel('a')
      await hub.ready
      const asked = []
      server.spoil = (request, response) => {
        asked.push(Date.now())
        response.writeHead(status).end('away')
        return true
      }
      const beganAt = Date.now()
      server.cut()
      await until(() => Date.now() > beganAt + OUTAGE_MS)
      const later = asked.slice(FIRST)
      assert.ok(later.length >= 1 && later.length <= OUTAGE_MS / 1000, `${asked.map((at) => at - beganAt)}`)
      for (const [index, at] of later.entries()) assert.ok(!index || at - later[index - 1] >= 990, `${asked.map((at) => at - beganAt)}`)
      server.spoil = () => false
      await until(() => hub.state === 'connected')
    })
  })
}

for (const [word, ms] of [['back', -3_600_000], ['ahead', 3_600_000]]) {
  test(`turns do not wait longer, or shorter, where the clock is set ${word} by an hour`, async (t) => {
    const requests = new Requests('http://127.0.0.1/', fetch, {}, () => undefined, () => {})
    const now = Date.now.bind(Date)
    const began = performance.now()
    const turn = requests.waitForTurnUntil(Infinity, new AbortController().signal)
    t.mock.method(Date, 'now', () => now() + ms)
    await turn
    const tookMs = performance.now() - began
    assert.ok(tookMs >= 999 && tookMs < 2500, `${tookMs} ms`)
  })
}

test('a request gives up its turn at its limit, however many others take turns before it', async () => {
  const requests = new Requests('http://127.0.0.1/', fetch, {}, () => undefined, () => {})
  const stop = new AbortController()
  const began = performance.now()
  const isTurn = requests.waitForTurnUntil(began + 1500, stop.signal)
  // Each refusal of another request delays the turns of all requests.
  const others = setInterval(() => requests.waitForTurnUntil(Infinity, stop.signal).catch(() => {}), 400)
  assert.equal(await isTurn, false)
  clearInterval(others)
  stop.abort()
  const tookMs = performance.now() - began
  assert.ok(tookMs >= 1499 && tookMs < 2000, `${tookMs} ms`)
})

test('a poll behind a gateway without a hub is given up after 4 s, also while channels are opened', async () => {
  await story({ transports: ['poll'] }, async (server, hub) => {
    hub.channel('a')
    await hub.ready
    server.spoil = (request, response) => !!response.writeHead(502).end('away')
    // Answers the held poll, so that the gateway refuses the next one.
    server.publish('a', 1)
    const beganAt = Date.now()
    for (let opened = 0; opened < 3; opened++) {
      // Each channel needs a new attachment, whose requests take turns too.
      hub.channel('opened ' + opened)
      await until(() => Date.now() > beganAt + 500 * (opened + 1))
    }
    await until(() => hub.state === 'reconnecting')
    assert.ok(Date.now() - beganAt < GIVEN_UP_MS, `${Date.now() - beganAt} ms`)
    server.spoil = () => false
    await until(() => hub.state === 'connected')
  })
})

for (const transport of HTTP) {
  test(`a gateway without a hub for 300 ms is no reason to leave ${transport}`, async () => {
    await story({ transports: HTTP.slice(HTTP.indexOf(transport)).concat(HTTP.slice(0, HTTP.indexOf(transport))) }, async (server, hub) => {
      let hasHeard = false
      hub.channel('a').on('message', () => (hasHeard = true))
      await hub.ready
      const carriers = []
      hub.addEventListener('transport', ({ to }) => to && carriers.push(to))
      assert.equal(hub.transport, transport)
      server.spoil = (request, response) => !!response.writeHead(502).end('away')
      server.cut()
      for (const socket of server.connections) socket.destroy()
      const cutAt = Date.now()
      await until(() => Date.now() > cutAt + 300)
      server.spoil = () => false
      server.publish('a', 1)
      await until(() => hasHeard)
      assert.equal(hub.transport, transport)
      for (const carrier of carriers) assert.equal(carrier, transport)
    })
  })
}

test('an answer that comes slowly, but comes, does not hang', async () => {
  await story({ transports: ['sse'] }, async (server, hub) => {
    for (let n = 1; n <= 3; n++) server.publish('a', n)
    let histories = 0
    server.spoil = (request, response) => {
      if (!request.url.startsWith('/history')) return false
      histories++
      const { end } = response
      // Eight pieces, one per second: longer than the limit of a request without a sign.
      response.end = (text) => {
        const size = Math.ceil(text.length / 8)
        for (let piece = 0; piece < 8; piece++) setTimeout(() => (piece < 7 ? response.write(text.slice(piece * size, (piece + 1) * size)) : end.call(response, text.slice(piece * size))), piece * 1000)
        return response
      }
      return false
    }
    const heard = []
    hub.channel('a', { since: 'all' }).on('message', (data) => heard.push(data))
    await until(() => heard.length === 3, undefined, 15_000)
    assert.deepEqual(heard, [1, 2, 3])
    assert.equal(histories, 1)
  })
})

test('pages of history shrink below the first size only where they fail, and grow back', () => {
  const size = new PageSize()
  const after = (...times) => (times.forEach((ms) => size.adapt(ms)), size.bytes / 1024)
  // A distant network is slow even with small pages.
  assert.equal(after(1200, 5000), 16)
  assert.deepEqual([after(Infinity), after(2000), after(Infinity, Infinity), after(Infinity)], [8, 8, 2, 2])
  assert.deepEqual([after(900), after(900, 900), after(900), after(200)], [4, 16, 16, 32])
})
