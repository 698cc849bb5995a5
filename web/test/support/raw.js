/** For tests of the middlebox with raw bytes: the client is a socket, and the hub is a script. */
import { connect, createServer } from 'node:net'
import { after } from 'node:test'
import { Middlebox } from './middlebox.js'

/** The time limit of every wait, in ms. */
const DEADLINE_MS = 5000

const stops = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})

/** A socket that records its bytes, with waits for them. */
export class Talk {
  text = ''
  /** @type {'' | 'end' | 'reset'} */
  ended = ''
  bytes = Buffer.alloc(0)

  constructor(socket) {
    this.socket = socket
    socket.on('data', (bytes) => {
      this.bytes = Buffer.concat([this.bytes, bytes])
      this.text = this.bytes.toString('latin1')
    })
    socket.on('end', () => (this.ended ||= 'end')).on('error', () => (this.ended ||= 'reset')).on('close', () => (this.ended ||= 'end'))
  }

  static async to(port, text = '') {
    const socket = connect(port, '127.0.0.1')
    const talk = new Talk(socket)
    stops.push(() => socket.destroy())
    await new Promise((resolve) => socket.on('connect', resolve))
    socket.write(text)
    return talk
  }

  async sees(wanted, what = String(wanted)) {
    const began = Date.now()
    while (!(typeof wanted === 'function' ? wanted(this) : this.text.includes(wanted))) {
      if (Date.now() > began + DEADLINE_MS) throw new Error(`waited in vain for ${what}; there was ${JSON.stringify(this.text)} ${this.ended}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return Date.now() - began
  }

  ends() {
    return this.sees(() => this.ended, 'the end')
  }
}

/** Starts a hub that passes each connection to the test, and a middlebox in front of it. */
export async function world(rules) {
  const came = []
  const server = createServer((socket) => came.push(new Talk(socket)))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const box = await Middlebox.start({ port: server.address().port }, rules)
  stops.push(() => server.close(), () => came.forEach(({ socket }) => socket.destroy()), () => box.stop())
  const asked = async (count = 1) => {
    const began = Date.now()
    while (came.length < count || !came[count - 1].text.includes('\r\n\r\n')) {
      if (Date.now() > began + DEADLINE_MS) throw new Error(`the hub was asked ${came.length} times, not ${count}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return came[count - 1]
  }
  return { box, came, asked, ask: (text) => Talk.to(box.port, text) }
}

export const get = (path, more = '') => `GET ${path} HTTP/1.1\r\nHost: hub\r\n${more}\r\n`
export const UPGRADE = get('/ws/a', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n')
export const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'
export const STREAM = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
export const chunk = (text) => `${text.length.toString(16)}\r\n${text}\r\n`
export const whole = (body) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
