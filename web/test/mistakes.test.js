/**
 * Mistakes of an application. Each is thrown by the call or reported within 3 s, with a code, a message and a hint.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'
import { connect } from '../dist/client.mjs'
import { story, TestHub, until } from './hub.js'
import { binary, startServer } from './server.js'

/** @param {(server: import('./hub.js').TestHub, hub: any) => Promise<void>} body @param {any} [options] */
const withHub = (body, options) => story(options, body)

/** Returns the error that a call throws. @param {() => any} call @returns {any} */
function errorOf(call) {
  try {
    call()
  } catch (error) {
    return error
  }
}

/** Collects the warnings of the console while `body` runs. @param {(lines: string[]) => Promise<void>} body */
async function quietly(body) {
  const { warn, error } = console
  /** @type {string[]} */
  const lines = []
  console.warn = (line) => void lines.push(line)
  console.error = () => {}
  try {
    await body(lines)
  } finally {
    Object.assign(console, { warn, error })
  }
}

const NO_TOKENS = ['', ' ', 'Bearer abc', 'two words', 'naïve', 'line\n']

test('a `token` that no hub could read is refused at the call, without its text', () => {
  for (const token of NO_TOKENS) {
    const error = errorOf(() => connect('http://localhost:1/', { WebSocket, token }))
    assert.equal(error?.code, 'bad_option', JSON.stringify(token))
    assert.match(error.message, /without `Bearer`/)
    assert.ok(error.hint)
    if (token.trim()) assert.ok(!error.message.includes(token))
  }
})

for (const token of [...NO_TOKENS, undefined, null, 5]) {
  test(`a \`token\` function that returns ${JSON.stringify(token)} is reported, and nothing is asked without one`, async () => {
    const server = await new TestHub().listen()
    const hub = connect(server.address, { WebSocket, token: async () => token })
    const error = await new Promise((resolve) => hub.addEventListener('error', ({ error }) => resolve(error)))
    assert.equal(error.code, 'token')
    assert.match(error.hint, /without `Bearer`/)
    if (typeof token === 'string' && token.trim()) assert.ok(!error.message.includes(token))
    assert.deepEqual(server.requests, [])
    hub.close()
    await server.close()
  })
}

for (const [what, spoil, code] of [
  ['answers all with a page', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), /^foreign$/],
  ['answers 404', (response) => response.writeHead(404).end(), /^http_404$/],
  ['answers 502', (response) => response.writeHead(502).end(), /^http_502$/],
  ['answers nothing', () => true, /^timeout$/],
  ['is not there', undefined, /^unreachable$/],
]) {
  for (const transports of [['ws', 'sse', 'poll'], ['ws'], ['sse'], ['poll']]) {
    test(`where the server at the address ${what}, the application is told within 3 s, over ${transports}`, () =>
      quietly(async (lines) => {
        const server = await new TestHub().listen()
        server.spoil = (request, response) => !!spoil?.(response)
        server.spoilUpgrade = (request, socket) => what === 'answers nothing' || !!socket.end('HTTP/1.1 404 Not Found\r\n\r\n')
        if (!spoil) await server.close()
        const began = Date.now()
        const hub = connect(server.address, { WebSocket, transports })
        hub.addEventListener('state', ({ to, error }) => {
          if (to === 'captive') assert.match(error.code, code)
        })
        const heard = connect(server.address, { WebSocket, transports })
        const error = await new Promise((resolve) => heard.addEventListener('error', ({ error }) => resolve(error)))
        await until(() => lines.length)
        assert.ok(Date.now() - began < 3000)
        heard.close()
        hub.close()
        if (spoil) await server.close()
        assert.match(error.code, code)
        assert.ok(error.message.startsWith(`No hub answers at ${server.address}`), error.message)
        assert.match(error.hint, /address/)
        assert.ok(lines[0].includes(error.message) && lines[0].includes(error.hint), lines[0])
        assert.equal(lines.length, 1)
      }))
  }
}

test('a hub that is reached in time reports nothing', () =>
  withHub(async (server, hub) => {
    const errors = []
    hub.addEventListener('error', ({ error }) => errors.push(error))
    await hub.ready
    await new Promise((resolve) => setTimeout(resolve, 3000))
    assert.deepEqual(errors, [])
  }))

test('a path that is not the hub\'s is named', () =>
  quietly(() =>
    withHub(async (server, hub) => {
      server.spoil = (request, response) => {
        const nonce = new URL(request.url, 'http://x').searchParams.get('nonce')
        return !!response.writeHead(404).end(JSON.stringify({ code: 'not_found', status: 404, detail: 'no such address', hint: 'a hint', nonce }))
      }
      server.spoilUpgrade = (request, socket) => !!socket.end('HTTP/1.1 404 Not Found\r\n\r\n')
      const error = await hub.closed.catch((error) => error)
      assert.equal(error.code, 'not_found')
      assert.match(error.message, /^No hub answers at http/)
      assert.match(error.hint, /address/)
    })))

for (const transport of ['ws', 'sse', 'poll']) {
  test(`a refused channel is told to the console once, where nobody listens for its end, over ${transport}`, { skip: !binary }, () =>
    quietly(async (lines) => {
      const server = await startServer()
      const hub = connect(server.address, { WebSocket, transports: [transport] })
      const ended = []
      for (const type of ['error', 'close']) hub.channel('$system').addEventListener(type, ({ error }) => ended.push(error.code))
      hub.channel('$other')
      await until(() => lines.length && ended.length === 2)
      await hub.ready
      // A later call is reported too.
      hub.channel('$later')
      await until(() => lines.length === 2)
      hub.close()
      await server.stop()
      assert.match(lines[0], /^triway: channel `\$other`: .+ \(\w+\)\. ./)
      assert.match(lines[1], /^triway: channel `\$later`: .+ \(\w+\)\. ./)
      assert.equal(lines.length, 2)
    }))
}

test('what is opened or chosen on a closed hub is told to the console, where nobody listens', () =>
  quietly((lines) =>
    withHub(async (server, hub) => {
      await hub.ready
      hub.close()
      hub.channel('late')
      hub.channel('heard').addEventListener('close', () => {})
      hub.channel('brief').close()
      hub.use('sse')
      await until(() => lines.length === 2)
      await new Promise((resolve) => setTimeout(resolve, 20))
      assert.equal(lines.length, 2, String(lines))
      assert.ok(lines.some((line) => /channel `late`: This hub was closed \(closed\)\. Open another hub\./.test(line)))
      assert.ok(lines.some((line) => line.includes('`use`')))
      hub.use('pigeon')
    })))

for (const transport of ['ws', 'sse', 'poll']) {
  test(`the own inbox is read by its real name, too, over ${transport}`, { skip: !binary }, async () => {
    const server = await startServer()
    const [hub, other] = [0, 1].map(() => connect(server.address, { WebSocket, transports: [transport] }))
    await Promise.all([hub.ready, other.ready])
    const seen = []
    const own = hub.channel('@' + hub.session.id)
    const foreign = hub.channel('@' + other.session.id)
    for (const [name, handle] of [['inbox', hub.inbox], ['own', own], ['foreign', foreign]]) handle.addEventListener('message', ({ data }) => seen.push(name + data))
    await other.channel('@' + hub.session.id).publish(1)
    await foreign.publish(2)
    await until(() => seen.length === 2)
    own.close()
    await other.channel('@' + hub.session.id).publish(3)
    await until(() => seen.length === 3)
    assert.deepEqual(seen, ['inbox1', 'own1', 'inbox3'])
    for (const each of [hub, other]) each.close()
    await server.stop()
  })
}

test('every error that the client makes has a code, a message and a hint', async () => {
  /** @type {any[]} */
  const errors = []
  const failed = (/** @type {any} */ error) => void errors.push(error)
  const mistakes = [
    ...['ws://a', 'localhost:1', 'http://a b/', 'http://u:p@a/', 'http://%41%20/', 5].map((address) => () => connect(/** @type {any} */ (address))),
    ...[{ tokn: 1 }, { token: 5 }, { transports: [] }, { heartbeat: 0 }, { timeout: -1 }, { fetch: 5 }, { info: 1n }, { info: 'x'.repeat(2000) }, 5].map((options) => () => connect('http://localhost:1/', /** @type {any} */ (options))),
  ]
  for (const call of mistakes) errors.push(errorOf(call))
  await withHub(async (server, hub) => {
    const room = hub.channel('a')
    for (const name of ['', 'a,b', 5, 'x'.repeat(129), '\u0000', '\ud800']) errors.push(errorOf(() => hub.channel(name)))
    for (const options of [{ since: 'x' }, { presence: 1 }, { other: 1 }, 5]) errors.push(errorOf(() => hub.channel('b', options)))
    for (const options of [{ since: 'all' }, { presence: true }]) errors.push(errorOf(() => hub.channel('@x', options)))
    for (const name of ['error', 'x'.repeat(129), 5]) errors.push(errorOf(() => room.on(name, () => {})))
    errors.push(errorOf(() => room.on('a', 5)), errorOf(() => hub.use('x')))
    for (const [data, options] of [[1n], [new Map()], [1, { name: 'open' }], [1, { signal: 5 }], [1, { other: 5 }]]) await room.publish(data, options).catch(failed)
    room.close()
    await room.publish(1).catch(failed)
    await room.members().catch(failed)
    const pending = hub.channel('c').publish(1).catch(failed)
    hub.close()
    await pending
  })
  for (const [status, body] of [[200, '<html>'], [404, ''], [502, '']]) {
    await withHub(async (server, hub) => {
      server.spoil = (request, response) => !!response.writeHead(status).end(body)
      await hub.channel('a').publish(1).catch(failed)
    }, { transports: ['sse'], timeout: 300 })
  }
  const made = await import('../publish-errors.js')
  const { hubUnavailable, expired, postBlocked, queueFull, tooLarge } = made
  errors.push(postBlocked(), queueFull(), tooLarge(2, 1), expired(undefined, 1, null, true), hubUnavailable(postBlocked(), '/'))
  const { closed } = await import('../error.js')
  errors.push(closed('hub'))
  const { foreign } = await import('../frame.js')
  errors.push(foreign(), hubUnavailable(foreign(), 'http://a/'))
  for (const error of errors) {
    assert.equal(error?.name, 'TriwayError', String(error))
    const { code, message, hint } = error
    assert.ok(code && message && hint, `${code} · ${message} · ${hint}`)
    assert.ok(message !== code && message !== hint && /[.`]$/.test(hint), `${code} · ${message} · ${hint}`)
  }
  const codes = new Set(errors.map(({ code }) => code))
  for (const code of ['bad_address', 'bad_option', 'bad_channel', 'bad_cursor', 'bad_name', 'bad_data', 'too_large', 'queue_full', 'closed', 'post_blocked', 'unreachable', 'foreign', 'http_404', 'http_502']) assert.ok(codes.has(code), code)
})
