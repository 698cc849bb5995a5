/**
 * A small hub in the process of the test. It implements as much of the protocol as the client uses, and its hooks
 * can change any response. `server.test.js` uses the real server; here, responses can be held, cut and forged.
 */
import { createServer } from 'node:http'
import WebSocket, { WebSocketServer } from 'ws'
import { connect } from '../dist/client.mjs'

const offsetOf = (id) => Number(id.split('-')[1])

export class TestHub {
  events = []
  head = 0
  epoch = 'e1'
  sessions = 0
  requests = []
  answers = new Map()
  expected = new Map()
  readers = new Set()
  connections = new Set()
  /** Replaces the response to a request if it returns true: `(request, response) => true`. */
  spoil = () => false
  /** Replaces the response to an Upgrade if it returns true: `(request, socket) => true`. */
  spoilUpgrade = () => false
  pingAfterMs = 150
  heartbeatMs = 15_000

  async listen(port = 0) {
    this.server = createServer((request, response) => this.#answer(request, response))
    this.sockets = new WebSocketServer({ noServer: true })
    this.server.on('upgrade', (request, socket, head) => {
      this.requests.push(request.url)
      if (!this.spoilUpgrade(request, socket)) this.sockets.handleUpgrade(request, socket, head, (ws) => this.#ws(request, ws))
    })
    this.server.on('connection', (socket) => this.connections.add(socket))
    await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve))
    this.port = this.server.address().port
    this.address = `http://127.0.0.1:${this.port}/`
    return this
  }

  async close() {
    for (const reader of this.readers) reader.end()
    for (const ws of this.sockets.clients) ws.terminate()
    for (const socket of this.connections) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }

  /** Cuts every reader at once, as a proxy would. */
  cut() {
    for (const reader of this.readers) reader.cut()
  }

  publish(channel, data, more = {}) {
    const event = { type: 'event', id: `${this.epoch}-${++this.head}`, channel, name: 'message', data, time: Date.now(), ...more }
    this.events.push(event)
    for (const reader of this.readers) reader.wake()
    return event.id
  }

  /** Returns channels and starts, from the address or, if they do not fit there, from the body. */
  #opening(url, body = '') {
    const query = new URLSearchParams(url.searchParams)
    const { channels: named, since = {}, ...more } = JSON.parse(body || '{}')
    for (const [name, value] of Object.entries(more)) query.set(name, value)
    for (const [name, start] of Object.entries(since)) query.set(name ? 'since.' + name : 'since', start)
    const channels = named ?? query.get('channels').split(',')
    const key = query.get('session')
    const session = key?.startsWith('key-') ? key.slice(4) : 's' + ++this.sessions
    const starts = new Map(channels.map((name) => [name, this.#start(name, query.get('since.' + name) ?? query.get('since') ?? 'now')]))
    const first = Math.min(this.head, ...starts.values())
    const hello = {
      type: 'hello', magic: 'triway/1', nonce: query.get('nonce'), id: `${this.epoch}-${first}`,
      session: { id: session, key: 'key-' + session }, heartbeat: this.heartbeatMs / 1000, channels: channels.map((name) => (name === '@' ? '@' + session : name)), network: 'n1', build: 'test',
    }
    const areCursors = channels.every((name) => (query.get('since.' + name) ?? query.get('since'))?.startsWith(this.epoch + '-'))
    return { query, channels, starts, hello, session, known: !!key && areCursors }
  }

  #start(name, since) {
    const own = this.events.filter((event) => event.channel === name)
    if (since === 'now') return this.head
    if (since === 'all') return 0
    if (since.endsWith('ms')) return offsetOf(own.find(({ time }) => time >= Date.now() - parseInt(since))?.id ?? this.epoch + '-' + (this.head + 1)) - 1
    if (since.startsWith('last:')) return offsetOf(own.at(-Number(since.slice(5)))?.id ?? own[0]?.id ?? this.epoch + '-' + (this.head + 1)) - 1
    return offsetOf(since)
  }

  #after(starts, session) {
    const real = (name) => (name === '@' ? '@' + session : name)
    const froms = new Map([...starts].map(([name, from]) => [real(name), from]))
    const events = this.events.filter((event) => froms.has(event.channel) && offsetOf(event.id) > froms.get(event.channel))
    for (const name of starts.keys()) starts.set(name, this.head)
    return events
  }

  #ws(request, ws) {
    const { starts, hello, session } = this.#opening(new URL(request.url, this.address))
    const say = (frame) => ws.send(JSON.stringify(frame))
    const reader = {
      wake: () => {
        for (const { bytes, ...event } of this.#after(starts, session)) {
          if (bytes) ws.send(Buffer.concat([Buffer.from(JSON.stringify({ ...event, data: undefined }) + '\n'), bytes]))
          else say(event)
        }
      },
      reads: (name) => starts.has(name),
      cut: () => ws.terminate(),
      end: () => ws.close(1001),
    }
    this.readers.add(reader)
    ws.on('close', () => this.readers.delete(reader))
    say(hello)
    reader.wake()
    const probe = setTimeout(() => say({ type: 'ping', id: `${this.epoch}-${this.head}`, time: Date.now() }), this.pingAfterMs)
    ws.on('close', () => clearTimeout(probe))
    ws.on('message', (message, binary) => {
      const border = binary ? message.indexOf(10) : message.length
      const command = JSON.parse(message.subarray(0, border))
      if (command.type === 'subscribe') {
        const own = new Map([[command.channel, this.#start(command.channel, command.since ?? 'now')]])
        for (const event of this.#after(own, session)) say(event)
        starts.set(command.channel, this.head)
      }
      if (command.type === 'unsubscribe') starts.delete(command.channel)
      const answer = command.type === 'history' ? { ok: true, ...this.#history(command.channel, command.since) } : this.#act(command, session, binary ? message.subarray(border + 1) : undefined)
      say({ type: 'reply', ref: command.ref, ...answer })
    })
  }

  #act(command, session, bytes) {
    if (command.type !== 'publish') return { ok: true, channel: command.channel, time: Date.now() }
    if (this.answers.has(command.key)) return this.answers.get(command.key)
    if (!command.key.startsWith(session + ':')) return this.#append(command, session, bytes)
    const number = Number(command.key.split(':')[1])
    const expected = this.expected.get(session) ?? number
    if (number > expected) return { ok: false, error: { code: 'key_out_of_order', status: 409, hint: 'send it first', expected } }
    if (number < expected) return this.answers.get(command.key)
    this.expected.set(session, number + 1)
    return this.#append(command, session, bytes)
  }

  #append(command, session, bytes) {
    if (command.data64) bytes = Buffer.from(command.data64, 'base64')
    const id = this.publish(command.channel, command.data, { name: command.name ?? 'message', from: session, bytes })
    const answer = { ok: true, id, reached: { ws: 1, sse: 0, poll: 0 } }
    this.answers.set(command.key, answer)
    return answer
  }

  #history(channel, since) {
    const from = this.#start(channel, since)
    const frames = this.events.filter((event) => event.channel === channel && offsetOf(event.id) > from)
    return { channel, frames: frames.map(({ bytes, ...frame }) => (bytes ? { ...frame, data64: bytes.toString('base64') } : frame)), cursor: `${this.epoch}-${this.head}`, more: false }
  }

  async #answer(request, response) {
    this.requests.push(request.method + ' ' + request.url)
    if (this.spoil(request, response)) return
    const url = new URL(request.url, this.address)
    let body = ''
    for await (const part of request) body += part
    const nonce = url.searchParams.get('nonce')
    const json = (value, status = 200) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(status < 400 ? value : { ...value, nonce }))
    if (url.pathname === '/healthz') return json({ magic: 'triway/1', build: 'test' })
    if (url.pathname === '/send' && request.method !== 'POST') return json({ code: 'method_not_allowed', status: 405, hint: 'POST it' }, 405)
    if (url.pathname === '/send') {
      const given = JSON.parse(body)
      const session = (given.session ?? url.searchParams.get('session')).slice(4)
      const repeated = given.nonce ?? nonce
      const reply = ({ error, ...answer }) => ({ type: 'reply', ...answer, ...(error && { error: { ...error, nonce: repeated } }) })
      return json((given.commands ?? given).map((command) => reply(this.#act(command, session))))
    }
    if (url.pathname === '/pub') {
      const query = url.searchParams
      const command = { type: 'publish', channel: query.get('channels'), key: query.get('key'), data: JSON.parse(query.get('data')) }
      const { ok, error, ...result } = this.#act(command, query.get('session').slice(4))
      return ok ? json(result, 201) : json(error, error.status)
    }
    if (url.pathname === '/history') return json(this.#history(url.searchParams.get('channels'), url.searchParams.get('since')))
    if (url.pathname === '/presence') return json({ count: 1, members: [{ id: 's1', since: 1 }] })
    if (url.pathname === '/sse') return this.#sse(url, body, response)
    if (url.pathname === '/poll') return this.#poll(url, body, response, json)
    json({ code: 'not_found', hint: 'no such address', status: 404 }, 404)
  }

  #sse(url, body, response) {
    const { starts, hello, session } = this.#opening(url, body)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const say = ({ bytes, ...frame }) => response.write(`id: ${frame.id}\ndata: ${JSON.stringify(bytes ? { ...frame, data64: bytes.toString('base64') } : frame)}\n\n`)
    const reader = {
      say,
      wake: () => this.#after(starts, session).forEach(say),
      reads: (name) => starts.has(name),
      cut: () => response.destroy(),
      end: () => response.end(),
    }
    this.readers.add(reader)
    response.write('retry: 2000\n\n: hello\n\n')
    say(hello)
    reader.wake()
    const ping = () => say({ type: 'ping', id: `${this.epoch}-${this.head}`, time: Date.now() })
    const probe = setTimeout(ping, this.pingAfterMs)
    const again = setTimeout(ping, 5000)
    const beat = setInterval(ping, this.heartbeatMs)
    response.on('close', () => {
      clearTimeout(probe)
      clearTimeout(again)
      clearInterval(beat)
      this.readers.delete(reader)
    })
  }

  #poll(url, body, response, json) {
    const { query, starts, hello, session, known } = this.#opening(url, body)
    const reply = (frames) => {
      clearTimeout(timer)
      this.readers.delete(reader)
      json({
        cursor: `${this.epoch}-${this.head}`,
        nonce: query.get('nonce'),
        frames: frames.map(({ bytes, ...frame }) => (bytes ? { ...frame, data64: bytes.toString('base64') } : frame)),
      })
    }
    const reader = {
      wake: () => {
        const events = this.#after(starts, session)
        if (events.length) reply(events)
      },
      cut: () => response.destroy(),
      end: () => reply([]),
    }
    let timer
    if (!known) return reply([hello, ...this.#after(starts, session)])
    const wait = Number(query.get('wait') ?? 25) * 1000
    this.readers.add(reader)
    timer = setTimeout(() => reply([]), wait)
    response.on('close', () => {
      clearTimeout(timer)
      this.readers.delete(reader)
    })
    reader.wake()
  }
}

/** Runs `body` with a hub and a client of it, and closes both. @param {any} options of the client @param {(server: TestHub, hub: any) => Promise<void>} body */
export async function story(options, body) {
  const server = await new TestHub().listen()
  const hub = connect(server.address, { WebSocket, ...options })
  try {
    await body(server, hub)
  } finally {
    hub.close()
    await server.close()
  }
}

/** Waits for a condition, which it checks every 5 ms. The error after the limit names the condition. */
export async function until(condition, what = String(condition), mostMs = 10_000) {
  const end = Date.now() + mostMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > end) throw new Error('waited in vain for: ' + what)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
