/** Tokens that end while the page is open, against the real hub: renewal loses nothing, and nobody leaves. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { WebSocket } from 'ws'
import { connect } from '../dist/client.mjs'
import { until } from './hub.js'
import { startServer } from './server.js'

const SECRET = '0123456789abcdef0123456789abcdef'
const TOKEN_S = 3
/** Longest pause between two events while the token is renewed, in ms, unless the machine pauses longer at other times. They are published every 10 ms. */
const PAUSE_MAX_MS = 250
/** A pause that ends within this time after a token was requested, in ms, belongs to the renewal. */
const RENEWAL_MS = 500
const RENEWALS = 4

/** @type {string} */
let folder
/** @type {any} */
let hubProcess

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'triway-'))
  writeFileSync(join(folder, 'secret'), SECRET)
  hubProcess = await startServer(['--jwt-secret-file', join(folder, 'secret'), '--publish-rate', '0'])
})

after(async () => {
  await hubProcess.stop()
  rmSync(folder, { recursive: true })
})

/** A token of ann, valid for so many seconds. @param {number} seconds @param {object} [more] */
function token(seconds, more = {}) {
  const now = Math.floor(Date.now() / 1000)
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const access = { read: ['*'], publish: ['*'] }
  const message = `${part({ alg: 'HS256' })}.${part({ sub: 'ann', iat: now, exp: now + seconds, triway: access, ...more })}`
  return `${message}.${createHmac('sha256', SECRET).update(message).digest('base64url')}`
}

/** @param {any} options */
const connectTo = (options) => connect(hubProcess.address, { WebSocket, ...options })

for (const transport of ['ws', 'sse', 'poll']) {
  test(`a short token is renewed ahead of its end, without a gap, a pause or a leave, over ${transport}`, async () => {
    let tokens = 0
    let renewedAt = 0
    const hub = connectTo({ transports: [transport], token: () => (tokens++, (renewedAt = Date.now()), token(TOKEN_S)) })
    const room = hub.channel('renewed/' + transport, { presence: true })
    const states = [], moves = [], heard = []
    const pauses = { renewing: 0, quiet: 0 }
    let heardAt = Infinity
    hub.addEventListener('state', ({ to }) => states.push(to))
    for (const type of ['join', 'leave']) room.addEventListener(type, ({ member }) => moves.push(type + ' ' + member.id))
    room.addEventListener('gap', ({ reason }) => moves.push('gap ' + reason))
    await hub.ready
    room.addEventListener('message', ({ data }) => {
      heard.push(data)
      const kind = Date.now() < renewedAt + RENEWAL_MS ? 'renewing' : 'quiet'
      pauses[kind] = Math.max(pauses[kind], Date.now() - heardAt)
      heardAt = Date.now()
    })
    let sent = 0
    const publishing = setInterval(() => room.publish(++sent).catch((error) => moves.push(error.code)), 10)
    await until(() => tokens > RENEWALS, 'renewals', 40_000)
    clearInterval(publishing)
    await until(() => heard.length >= sent)
    assert.deepEqual(heard, heard.map((_, index) => index + 1), 'lost, repeated or reordered')
    assert.deepEqual(states, ['connected'], 'the state never changed')
    assert.deepEqual(moves.filter((move) => move !== 'join ann'), [])
    assert.ok(pauses.renewing <= Math.max(PAUSE_MAX_MS, 2 * pauses.quiet), JSON.stringify(pauses))
    hub.close()
  })

  test(`renew() uses rights that have just grown, over ${transport}`, async () => {
    let read = ['old']
    const hub = connectTo({ transports: [transport], token: () => token(60, { triway: { read, publish: ['*'] } }) })
    await hub.ready
    const refused = await new Promise((resolve) => hub.channel('new').addEventListener('error', ({ error }) => resolve(error)))
    assert.equal(/** @type {any} */ (refused).code, 'forbidden')
    read = ['old', 'new']
    hub.renew()
    const heard = []
    await until(async () => {
      const room = hub.channel('new')
      room.addEventListener('message', ({ data }) => heard.push(data))
      await hub.channel('new').publish(1)
      return heard.length
    })
    assert.equal(hub.state, 'connected')
    hub.close()
  })

  test(`a token that is too long for a header works, and so does its successor, over ${transport}`, async () => {
    const rooms = Array.from({ length: 3000 }, (_, number) => `room/${number}/with-a-long-name`)
    let read = rooms
    const hub = connectTo({ transports: [transport], token: () => token(60, { triway: { read, publish: ['*'] } }) })
    const heard = []
    hub.channel(rooms[2999]).addEventListener('message', ({ data }) => heard.push(data))
    await hub.ready
    await hub.channel(rooms[2999]).publish(1)
    await until(() => heard.length)
    const { id } = hub.session
    read = [...rooms, 'new']
    hub.renew()
    await until(async () => {
      hub.channel('new').addEventListener('message', ({ data }) => heard.push(data))
      await hub.channel('new').publish(2)
      return heard.includes(2)
    })
    assert.equal(hub.session.id, id)
    assert.equal(hub.session.user, 'ann')
    hub.close()
  })

  test(`a token that is refused is requested once more, and then the hub is closed, over ${transport}`, async () => {
    let tokens = 0
    const hub = connectTo({ transports: [transport], token: () => (tokens++, 'a.b.c') })
    await assert.rejects(hub.ready, { code: 'unauthorized' })
    assert.equal(tokens, 2)
    assert.equal(hub.state, 'closed')
  })
}

test('the Node lines of the credentials page sign a token that the hub accepts', async () => {
  const page = readFileSync(new URL('../../docs/auth.md', import.meta.url), 'utf8')
  const [lines] = /(?<=```js\n)import[^`]*SignJWT[^`]*/.exec(page) ?? ['']
  const program = lines.replace('jwt-secret', join(folder, 'secret')) + 'console.log(token)'
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: new URL('..', import.meta.url) })
  const hub = connectTo({ token: stdout.trim() })
  await hub.ready
  assert.equal(hub.session.user, 'ann')
  hub.channel('room/7')
  assert.ok((await hub.channel('room/42').publish(1)).id)
  await assert.rejects(hub.channel('room/7').publish(1), { code: 'forbidden' })
  hub.close()
})

test('cookies are sent where the application says so', async () => {
  const modes = []
  const fetched = (address, init) => {
    modes.push(init.credentials)
    return fetch(address, init)
  }
  for (const [credentials, mode] of [[undefined, undefined], ['include', 'include'], ['omit', 'omit']]) {
    const hub = connectTo({ transports: ['poll'], token: token(60), fetch: fetched, credentials })
    await hub.ready
    hub.close()
    assert.ok(modes.length && modes.every((one) => one === mode), `${modes}`)
    modes.length = 0
  }
  assert.throws(() => connectTo({ credentials: 'all' }), { code: 'bad_option' })
})
