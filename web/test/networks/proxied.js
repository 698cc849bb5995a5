/**
 * `fetch` and an agent for sockets that use a forward proxy as browsers do: plain requests with the whole address,
 * and CONNECT for sockets. Node's own `fetch` has no option for a proxy.
 */
import { Agent, request } from 'node:http'
import { Readable } from 'node:stream'

/** @param {string} proxy its address */
export const fetchThrough = (proxy) => (/** @type {string} */ address, /** @type {any} */ { method = 'GET', headers = {}, body, signal } = {}) =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(proxy)
    const target = new URL(address)
    const asked = request({ host: hostname, port, method, path: address, signal, headers: { ...headers, host: target.host, ...(body && { 'content-length': Buffer.byteLength(body) }) } }, (answer) => {
      const isBare = [204, 304].includes(answer.statusCode ?? 0)
      resolve(new Response(isBare ? null : /** @type {any} */ (Readable.toWeb(answer)), { status: answer.statusCode, headers: /** @type {any} */ (answer.headers) }))
    })
    asked.on('error', reject)
    asked.end(body)
  })

/** Sockets through the proxy, by CONNECT. */
export class TunnelAgent extends Agent {
  #proxy

  /** @param {string} proxy its address */
  constructor(proxy) {
    super()
    this.#proxy = new URL(proxy)
  }

  /** @param {any} options @param {any} callback */
  createConnection({ host, port }, callback) {
    const { hostname, port: proxyPort } = this.#proxy
    const asked = request({ host: hostname, port: proxyPort, method: 'CONNECT', path: `${host}:${port}` })
    asked.on('connect', (answer, socket) => {
      if (answer.statusCode === 200) return callback(null, socket)
      socket.destroy()
      callback(new Error(`CONNECT: ${answer.statusCode}`))
    })
    asked.on('error', callback)
    asked.end()
    return /** @type {any} */ (undefined)
  }
}
