/** Item 13: refusals that a developer meets on the first day state a code and a hint. */
import { rule, subject } from './world.js'

subject('origins')

rule(13, 'a page of an origin that is not listed learns so, with code and hint', async (t) => {
  t.ok(location.hostname === 'outside.example', location.hostname)
  const hub = t.connect()
  const channel = hub.channel(t.room())
  const states = t.events(hub, 'state')
  const error = await t.rejects(hub.ready, 'origin_refused', 'ready')
  t.ok(/--origin/.test(error.hint), `the hint: ${error.hint}`)
  t.ok(`${error.message} ${error.hint}`.includes(location.origin), `it names the origin: ${error.message}`)
  t.is(hub.state, 'closed', 'state')
  t.ok(states.some(({ error }) => error?.code === 'origin_refused'), 'a state event carries it')
  await t.rejects(channel.publish(1), 'origin_refused', 'publish')
  await t.rejects(hub.closed, 'origin_refused', 'closed')
}, { node: false, seats: ['outside'], transports: ['ws', 'sse', 'poll', 'any'], wide: true })

rule(13, 'a sandboxed frame, whose origin is opaque, learns so, too', async (t) => {
  const frame = document.createElement('iframe')
  frame.sandbox.add('allow-scripts')
  const options = JSON.stringify(t.transport === 'any' ? {} : { transports: [t.transport] })
  const message = new Promise((resolve) => addEventListener('message', ({ data }) => data?.run === t.setting.run && resolve(data)))
  const client = await (await fetch(t.setting.client.replace('client.mjs', 'client.js'))).text()
  frame.srcdoc = `<script>${client.replaceAll('</', '<\\/')}</script><script>
    const say = (data) => parent.postMessage({ run: ${JSON.stringify(t.setting.run)}, ...data }, '*')
    try {
      const hub = triway.connect(${JSON.stringify(t.address)}, ${options})
      hub.ready.then(() => say({ code: 'connected' }), ({ code, hint }) => say({ code, hint }))
    } catch (error) { say({ code: String(error) }) }
  </script>`
  document.body.append(frame)
  const { code, hint } = await t.within(message, 4000, 'the frame learns it')
  frame.remove()
  t.is(code, 'origin_refused', 'code')
  t.ok(hint, 'hint')
}, { node: false, seats: ['page'], transports: ['ws', 'sse', 'poll', 'any'], wide: true })

rule(13, 'an origin that is listed passes', async (t) => {
  const hub = t.connect()
  await t.within(hub.ready, 5000, 'ready')
  const room = t.room()
  const channel = hub.channel(room)
  const heard = t.heard(channel)
  await t.until(async () => (await t.post(room, 1)) && heard.length, 'it reads')
  t.ok((await t.within(channel.publish(2), 4000, 'publish')).id, 'and publishes')
  t.ok(Array.isArray(await channel.members()), 'and asks for members')
}, { node: false, seats: ['outside'], flags: ['--origin', 'OUTSIDE'], transports: ['ws', 'sse', 'poll'], wide: true })

rule(13, 'a hub that is asked under a name that it does not know says so', async (t) => {
  const address = t.address.replace('127.0.0.1', 'outside.example')
  const hub = t.connect({}, address)
  const error = await t.rejects(hub.ready, ['host_refused', 'origin_refused'], 'ready')
  t.ok(/--host|--origin/.test(error.hint), `the hint: ${error.hint}`)
  t.is(hub.state, 'closed', 'state')
}, { node: false, seats: ['page', 'outside'], transports: ['ws', 'sse', 'poll', 'any'], wide: true })

rule(13, 'the refusal of a token can be read by a page', async (t) => {
  const hub = t.connect(t.spoiled('token=bad'))
  const error = await t.rejects(hub.ready, 'unauthorized', 'ready')
  t.ok(error.hint && error.status === 401, `hint and status: ${error.hint} ${error.status}`)
}, { node: false, seats: ['page', 'worker', 'shared'], transports: ['ws', 'sse', 'poll', 'any'] })

rule(13, 'the hub says it once per origin in its log', async (t) => {
  const hubs = [1, 2, 3].map(() => t.connect())
  for (const hub of hubs) await t.rejects(hub.ready, 'origin_refused', 'ready')
  const lines = await t.ask('said', 'WARN.*outside\\.example')
  t.is(lines, 1, 'WARN lines that name the origin')
}, { node: false, seats: ['outside'], transports: ['poll'], own: true })

rule(13, 'outside of pages, too: a request with a wrong Origin is refused in words', async (t) => {
  const Platform = t.WebSocket
  const hub = t.connect({
    fetch: (address, init) => fetch(address, { ...init, headers: { ...init?.headers, Origin: 'https://wrong.example' } }),
    WebSocket: class extends Platform {
      constructor(address, protocols) {
        super(address, protocols, { origin: 'https://wrong.example' })
      }
    },
  })
  const error = await t.rejects(hub.ready, 'origin_refused', 'ready')
  t.ok(/--origin/.test(error.hint), `the hint: ${error.hint}`)
  await t.rejects(hub.closed, 'origin_refused', 'closed')
}, { transports: ['ws', 'sse', 'poll', 'any'], seats: [] })
