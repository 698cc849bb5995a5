/**
 * Where a seat can be taken: Node, Chromium, Firefox, WebKit. Each engine has `visit(address, options,
 * memory)`, which gives a seat that is called by name, and `stop()`. Knows no path and no bound.
 */
import { existsSync, readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { startBrowser } from './browsers.js'
import { startWebKit } from './webkit.js'

/**
 * A seat in a page that is loaded; the call `go` connects. `beside` takes another one in the same browser
 * with the same storage and the same connections, in Node in another thread.
 * @typedef {{call: (name: string, ...args: any[]) => Promise<any>, leave: () => Promise<void>, beside?: (options: any) => Promise<Taken>}} Taken
 */
/** @typedef {{name: string, visit: (address: string, options?: any, memory?: string) => Promise<Taken>, stop: () => Promise<void>}} Engine */

/** @param {string} name @returns {Promise<Engine>} */
export async function startEngine(name) {
  if (name === 'node') return { name, visit: visitInNode, async stop() {} }
  if (name === 'webkit') return startWebKit()
  return startBrowser(name)
}

/** The client as it is shipped; TRIWAY_CLIENT names another, such as its source. */
const CLIENT = new URL(process.env.TRIWAY_CLIENT ?? '../../dist/client.mjs', import.meta.url).href

/**
 * What TRIWAY_CLIENT names, for pages too, which otherwise get what is built into the hub: the box answers
 * with the client itself and with the files next to it.
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
    // The HTTP/2 front has a certificate that was made for this run.
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

/** The class as a script, for pages. */
export const SEAT_SOURCE = readFileSync(new URL('seat.js', import.meta.url), 'utf8').replace('export class Seat', 'globalThis.Seat = class Seat')

/**
 * Any text of the hub's own makes a page of the right origin; this one runs no script of its own.
 * @param {string} address
 */
export const pageOf = (address) => address + 'client.js'

/** What a page does to take its seat, as a script whose value is a promise. @param {string} address @param {any} [options] @param {string} [memory] */
export const takeSeat = (address, { cookie, ...options } = {}, memory = '{}') => `(async () => {
  ${SEAT_SOURCE}
  for (const [name, value] of Object.entries(${memory})) localStorage[name] = value
  ${cookie ? `document.cookie = ${JSON.stringify(cookie)}` : ''}
  const { connect } = await import('/client.mjs')
  globalThis.go = () => { globalThis.seat = new Seat(connect, ${JSON.stringify(address)}, { fetch: fetch.bind(globalThis), WebSocket, ...${JSON.stringify(options)} }) }
})()`

/** @param {string} name @param {any[]} args */
export const callSeat = (name, args) => (name === 'go' ? 'go()' : `seat.${name}(...${JSON.stringify(args)})`)
