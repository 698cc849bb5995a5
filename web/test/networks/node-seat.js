/**
 * A seat in a thread of Node. `ws` is passed in, and the few parts of a page that the client uses are here too: its
 * events and a storage. Knows only how its methods are called.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { WebSocket } from 'ws'
import { fetchThrough, TunnelAgent } from './proxied.js'
import { Seat } from './seat.js'

const page = new EventTarget()
for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent']) globalThis[name] ??= page[name].bind(page)
const { client, address, options: { proxy, pageAt, ...options } = {}, memory } = workerData
Object.defineProperty(globalThis, 'localStorage', { value: JSON.parse(memory ?? '{}'), configurable: true })

const { connect } = await import(client)
/** A `ws` socket that uses the given proxy and accepts test certificates. */
class Socket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { rejectUnauthorized: false, agent: proxy && new TunnelAgent(proxy) })
  }
}

/** @type {Seat | undefined} */
let seat
const go = () => {
  seat = new Seat(connect, address, { fetch: proxy ? fetchThrough(proxy) : globalThis.fetch, WebSocket: Socket, ...options })
}

parentPort.on('message', async ({ id, name, args }) => {
  try {
    parentPort.postMessage({ id, value: await (name === 'go' ? go() : seat[name](...args)) })
  } catch (error) {
    parentPort.postMessage({ id, error: String(error?.stack ?? error) })
  }
})
