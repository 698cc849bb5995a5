/** Item 6: a mistake of the application is reported by the call, or within 3 s if it shows later. */
import { ALL, rule, subject } from './world.js'

/** In the normal tier, only the first cases of a list run. @template Case @param {number} count @param {Case[]} list */
const first = (count, list) => (ALL ? list : list.slice(0, count))

subject('mistakes of the application')

rule(6, 'options that are none are thrown at the call', async (t) => {
  const WebSocket = t.WebSocket ?? globalThis.WebSocket
  const cases = {
    transports: [['websocket'], ['WS'], [], 'ws', ['ws', 'quic'], [null], 42, {}, ['ws', 'ws', 7]],
    token: [42, {}, [], true],
    heartbeat: [0, -1, 61, NaN, Infinity, 'often', {}],
    timeout: [-1, NaN, 'long', {}, []],
    signal: [{}, 'stop', true, new EventTarget()],
    fetch: ['fetch', {}, 42],
    WebSocket: ['ws', {}, 42],
    reviver: ['revive', {}, 42, true],
    share: ['yes', 1, {}],
  }
  for (const [name, values] of Object.entries(cases)) {
    for (const value of values) t.throws(() => t.client.connect(t.address, { ...(WebSocket && { WebSocket }), [name]: value }), 'bad_option', `${name}: ${JSON.stringify(value)}`)
  }
  for (const options of ['ws', 42, true]) t.throws(() => t.client.connect(t.address, options), 'bad_option', `options: ${options}`)
}, { transports: ['any'] })

rule(6, 'a transport that this platform lacks is a mistake, when it is the only one', async (t) => {
  t.throws(() => t.client.connect(t.address, { transports: ['ws'] }), 'bad_option', 'ws without WebSocket')
  const hub = t.client.connect(t.address, { transports: ['ws', 'sse'] })
  await t.within(hub.ready, 5000, 'the other transport carries')
  t.is(hub.transport, 'sse', 'transport')
  hub.close()
}, { transports: ['any'], seats: [] })

rule(6, 'addresses that are none are thrown at the call', async (t) => {
  const host = new URL(t.address).host
  const wrong = [`ftp://${host}/`, 'mailto:hub@x.example', 'data:,hub', 'file:///hub', 'javascript:1', host, `localhost:${host.split(':')[1]}`, 'http://', 'http://a b/', `http://${host.split(':')[0]}:99999/`, `http://user:word@${host}/`, 42, {}, true, Symbol('hub')]
  if (!globalThis.location) wrong.push('/', '', 'hub', '//', undefined)
  for (const address of wrong) t.throws(() => t.connect({}, address ?? null), 'bad_address', `address ${String(address)}`)
  for (const scheme of ['ws', 'wss']) {
    // Such an address may be refused or treated as http, but not silently ignored.
    let hub
    try {
      hub = t.connect({}, `${scheme}://${host}/`)
    } catch (error) {
      t.isReport(error, 'bad_address', scheme)
    }
    if (hub) await t.within(hub.ready.catch((error) => t.isReport(error, '', scheme)), 3000, scheme)
  }
}, { transports: ['any'] })

rule(6, 'a query and a hash of the address are dropped; every way to write an address works', async (t) => {
  const { host, port } = new URL(t.address)
  const right = [`${t.address}?page=1&token=x`, `${t.address}#part`, `${t.address}?a#b`, `http://${host}`, new URL(t.address), ` ${t.address} `, `http://localhost:${port}/?q#h`, `HTTP://${host}/`]
  for (const address of right) {
    const hub = t.connect({}, address)
    await t.within(hub.ready, 4000, `address ${address}`)
    const room = t.room()
    const channel = hub.channel(room)
    t.ok((await t.within(channel.publish(1), 4000, `publish by ${address}`)).id, 'a publish is answered')
    t.ok(Array.isArray(await t.within(channel.members(), 4000, `members by ${address}`)), 'members')
    hub.close()
  }
  t.is(await t.ask('asked', 'page=1|token=x'), 0, 'requests with the dropped query')
})

rule(6, 'channel names are checked at the call, by the hub\'s own rules', async (t) => {
  const wrong = ['a,b', ',', 42, '', null, undefined, {}, [], ['a'], true, Symbol('a'), 10n, () => 'a', 'a\nb', '\u0000', 'tab\t', '\u007f', 'x\u0085', 'x'.repeat(129), 'é'.repeat(65), '\ud800', 'a\udc00b', '$presence/', '$presence/' + 'x'.repeat(129)]
  for (const phase of ['before hello', 'later']) {
    const hub = phase === 'later' ? await t.ready() : t.connect()
    for (const name of wrong) t.throws(() => hub.channel(name), 'bad_channel', `${phase}: channel ${String(name).slice(0, 20)}`)
    for (const name of ['x'.repeat(128), 'é'.repeat(64), '$presence/' + 'x'.repeat(128)]) hub.channel(name).close()
    hub.close()
  }
})

rule(6, 'options of a channel are checked at the call', async (t) => {
  const hub = t.connect()
  const wrong = ['nonsense', 'ALL', ' all', 'last:', 'last:-1', 'last:1.5', 'last:x', '10', '10y', '-5m', 's', '', 42, {}, [], true, 'k3-', '-42', 'K3-42', 'k3-x', 'a'.repeat(17) + '-1', 'k3-' + '1'.repeat(21)]
  for (const since of wrong) t.throws(() => hub.channel(t.room(), { since }), 'bad_cursor', `since ${JSON.stringify(since)}`)
  for (const since of ['now', 'all', 'last:1', '500ms', '30s', '10m', '2h', '1d', 'k3x9q2-42', undefined]) {
    const channel = hub.channel(t.room(), { since })
    const errors = t.events(channel, 'error')
    await t.within(hub.ready, 5000, 'ready')
    await t.until(() => t.readers(channel.name), `since ${since} is read`)
    t.is(errors.length, 0, `errors of since ${since}`)
    channel.close()
  }
  for (const presence of ['yes', 1, {}]) t.throws(() => hub.channel(t.room(), { presence }), 'bad_option', `presence ${JSON.stringify(presence)}`)
  for (const options of ['all', 42, true]) t.throws(() => hub.channel(t.room(), options), ['bad_option', 'bad_cursor'], `options ${options}`)
})

rule(6, 'use, publish and on report what they cannot take', async (t) => {
  const hub = await t.ready()
  for (const way of ['websocket', '', 42, null, {}]) t.throws(() => hub.use(way), 'bad_option', `use ${JSON.stringify(way)}`)
  const channel = hub.channel(t.room())
  for (const name of [42, 'x'.repeat(129), 'a\nb', '$x', 'open', 'error', {}]) await t.rejects(channel.publish(1, { name }), ['bad_option', 'bad_name'], `name ${String(name).slice(0, 9)}`)
  for (const signal of [{}, 'stop', 1]) await t.rejects(channel.publish(1, { signal }), 'bad_option', `signal ${JSON.stringify(signal)}`)
  await t.rejects(hub.channel('$forbidden/x').publish(1), '', 'a channel of the hub')
  await t.rejects(hub.inbox.publish(1), '', 'the own inbox')
  t.throws(() => channel.on('chat', 'listener'), 'bad_option', 'a listener that is none')
  t.ok((await t.within(channel.publish(1), 4000, 'the next one')).id, 'the next publish is answered')
  t.is(hub.state, 'connected', 'state')
})

rule(6, 'a name that a path would change works in every call', async (t, name) => {
  const hub = t.connect({ info: { n: 1 } })
  const channel = hub.channel(name, { presence: true, since: 'now' })
  const heard = []
  channel.addEventListener('message', (event) => event.data === t.setting.run && heard.push(event.channel))
  await t.within(hub.ready, 5000, 'ready')
  t.is(channel.name, name, 'its name')
  const { id } = await t.within(channel.publish(t.setting.run), 5000, 'publish')
  t.ok(id, 'publish')
  await t.until(() => heard.length, 'it is heard')
  t.is(heard, [name], 'under its own name')
  const members = await t.within(channel.members(), 4000, 'members')
  t.ok(members.some(({ id }) => id === hub.session.id), 'members has this session')
  const again = hub.channel(name, { since: id })
  const replayed = t.heard(again)
  await t.within(channel.publish('next'), 5000, 'publish')
  await t.until(() => replayed.includes('next'), 'a second handle with a cursor')
}, {
  cases: first(18, ['..', '.', '😀', '%2e%2e', 'a/../b', '?x=1', '#x', '//', '%', 'a b', '...', 'a/../b', '../../etc', './x', '%2e%2e', '%', '%zz', 'a%2Cb', 'a b', ' ', '?x=1', '#x', 'a#b?c', '/', '//', '/a/', 'a\\b', '+', 'a&b=c', ';', ':', '~', 'ü/✓', '😀', '__proto__', 'constructor', 'toString', "'\"<>", '-', '\u2028', 'now', 'x'.repeat(128)]),
  transports: ['ws', 'poll'],
  seats: ['page', 'worker', 'shared'],
  limitMs: 15_000,
})

rule(6, 'a name that a path would change is published to by GET, where POST is blocked', async (t, name) => {
  await t.ask('set', { post: { refuse: 405 } })
  const hub = await t.ready()
  const channel = hub.channel(name)
  const heard = []
  channel.addEventListener('message', ({ data }) => data === t.setting.run && heard.push(data))
  await t.until(() => t.readers(name), 'it is read')
  const { id } = await t.within(channel.publish(t.setting.run), 8000, 'publish')
  t.ok(id, 'publish')
  await t.until(() => heard.length, 'it is heard')
  t.ok((await t.ask('asked', '^publish GET')) > 0, 'by GET')
}, { cases: first(3, ['..', 'a/../b', '?x#y', '.', '%2e%2e', 'a b', '//', '😀', '&=']), transports: ['sse', 'poll'], seats: ['page'] })

rule(6, 'a token function that throws or hangs is reported within 3 s, tried again, and no end', async (t, how) => {
  let isWrong = true
  let asked = 0
  const token = () => {
    asked++
    if (!isWrong) return 'good'
    if (how === 'throws') throw new Error('no token today')
    if (how === 'rejects') return Promise.reject(new TypeError('no token'))
    if (how === 'rejects with nothing') return Promise.reject()
    if (how === 'hangs') return new Promise(() => {})
    return how === 'number' ? 42 : how === 'object' ? {} : 'a\nb'
  }
  const began = Date.now()
  const hub = t.connect({ token })
  const reports = t.events(hub, 'error', 'state')
  const error = await t.reported((watch) => void watch(hub), how)
  t.isReport(error, 'token', how)
  t.ok(error.hint || error.message.length > 10, `it says what happened: ${error.message}`)
  t.ok(hub.state !== 'closed' && hub.state !== 'connected', `the state is ${hub.state}`)
  await t.until(() => asked >= 2, () => `it is asked again: ${asked}`, 12_000)
  const rate = asked / ((Date.now() - began) / 1000)
  t.ok(rate < 8, `it is asked ${rate} times a second: with pauses`)
  isWrong = false
  await t.within(hub.ready, 15_000, 'connected when the token is there')
  t.ok(reports.length > 0, 'events')
}, { cases: first(4, ['throws', 'hangs', 'rejects', 'line', 'rejects with nothing', 'number', 'object']), seats: ['page', 'worker'], limitMs: 35_000 })

rule(6, 'a token function that fails later in life is reported, and reading goes on when it heals', async (t) => {
  let isWrong = false
  const hub = await t.ready({ token: async () => (isWrong ? Promise.reject(new Error('logged out')) : 'good') })
  const room = t.room()
  const heard = t.heard(hub.channel(room))
  await t.until(() => t.readers(room), 'it is read')
  isWrong = true
  // After a restart of the hub, the session is unknown, so the client requests the token again.
  await t.ask('stop')
  await t.ask('start')
  await t.observe(500)
  isWrong = false
  await t.until(() => hub.state === 'connected', () => `connected again: ${hub.state}`, 20_000)
  await t.until(async () => (await t.post(room, 'after')) && heard.includes('after'), 'and reads')
}, { own: true, seats: ['page'], limitMs: 40_000 })

rule(6, 'a text that no header can carry is refused as a token at the call', async (t) => {
  for (const token of ['a\nb', 'a\r\nX: y', '\u0000']) {
    const error = await t.reported((watch) => void watch(t.connect({ token })), JSON.stringify(token))
    t.isReport(error, ['bad_option', 'token'], JSON.stringify(token))
  }
})
