/**
 * The engines: Node, Chromium, Firefox, WebKit. Each has `visit(address, options, memory)`, which returns a seat
 * whose methods are called by name, and `stop()`. Knows no path and no bound.
 */
import { existsSync, readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { startBrowser } from './browsers.js'
import { startWebKit } from './webkit.js'

/**
 * A seat in a loaded page; the call `go` connects. `beside` opens another one in the same browser, with the same
 * storage and the same connections; in Node, in another thread.
 * @typedef {{call: (name: string, ...args: any[]) => Promise<any>, leave: () => Promise<void>, beside?: (options: any) => Promise<Taken>}} Taken
 */
/** @typedef {{name: string, visit: (address: string, options?: any, memory?: string) => Promise<Taken>, stop: () => Promise<void>}} Engine */

/** @param {string} name @returns {Promise<Engine>} */
export async function startEngine(name) {
  if (name === 'node') return { name, visit: visitInNode, async stop() {} }
  if (name === 'webkit') return startWebKit()
  return startBrowser(name)
}

/** The client as it is published. TRIWAY_CLIENT names another one, such as its source. */
const CLIENT = new URL(process.env.TRIWAY_CLIENT ?? '../../dist/client.mjs', import.meta.url).href

/**
 * Returns a file of the client that TRIWAY_CLIENT names, also for pages, which otherwise get the files that are
 * built into the hub. The middlebox serves the client and the files next to it.
 * @param {string} path @returns {Buffer | undefined}
 */
export function servedClient(path) {
  const name = /^\/([\w-]+\.m?js)$/.exec(path)?.[1]
  if (!process.env.TRIWAY_CLIENT || !name) return
  const file = name === 'client.mjs' ? new URL(CLIENT) : new URL(name, CLIENT)
  return existsSync(file) ? readFileSync(file) : undefined
}

/** @param {string} address @param {any} [options] @param {string} [memory] @returns {Promise<Taken>} */
async function visitInNode(address, options, memory) {
  const worker = new Worker(new URL('node-seat.js', import.meta.url), {
    workerData: { client: CLIENT, address, options, memory },
    // The HTTP/2 front has a certificate that was created for this run.
    env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' },
  })
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: any) => void}>} */
  const calls = new Map()
  let last = 0
  worker.on('message', ({ id, value, error }) => {
    const { resolve, reject } = /** @type {any} */ (calls.get(id))
    calls.delete(id)
    if (error) reject(new Error(error))
    else resolve(value)
  })
  worker.on('error', (error) => {
    for (const { reject } of calls.values()) reject(error)
  })
  return {
    call: (name, ...args) =>
      new Promise((resolve, reject) => {
        calls.set(++last, { resolve, reject })
        worker.postMessage({ id: last, name, args })
      }),
    leave: async () => void (await worker.terminate()),
    beside: (more) => visitInNode(address, { ...options, ...more }),
  }
}

/** The source of the class, as a script for pages. */
export const SEAT_SOURCE = readFileSync(new URL('seat.js', import.meta.url), 'utf8').replace('export class Seat', 'globalThis.Seat = class Seat')

/**
 * Returns the address of a page of the right origin that runs no script: any text of the hub.
 * @param {string} address
 */
export const pageOf = (address) => address + 'client.js'

/** Returns a script whose value is a promise: it creates the seat of a page. @param {string} address @param {any} [options] @param {string} [memory] */
export const takeSeat = (address, { cookie, ...options } = {}, memory = '{}') => `(async () => {
  ${SEAT_SOURCE}
  for (const [name, value] of Object.entries(${memory})) localStorage[name] = value
  ${cookie ? `document.cookie = ${JSON.stringify(cookie)}` : ''}
  const { connect } = await import('/client.mjs')
  globalThis.go = () => { globalThis.seat = new Seat(connect, ${JSON.stringify(address)}, { fetch: fetch.bind(globalThis), WebSocket, ...${JSON.stringify(options)} }) }
})()`

/** @param {string} name @param {any[]} args */
export const callSeat = (name, args) => (name === 'go' ? 'go()' : `seat.${name}(...${JSON.stringify(args)})`)
