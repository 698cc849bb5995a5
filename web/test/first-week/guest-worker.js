/** A guest in a worker, a shared worker or a thread of Node: runs the scenarios that it receives. */
import { run } from './kit.js'

const isNode = !!globalThis.process?.versions?.node

/** @param {any} port @param {any} [WebSocket] */
function serve(port, WebSocket) {
  /** Pending responses of `control`, by number. @type {Map<number, (answer: any) => void>} */
  const waiting = new Map()
  const control = (/** @type {string} */ name, /** @type {any[]} */ args) =>
    new Promise((resolve, reject) => {
      const id = waiting.size
      waiting.set(id, ({ value, error }) => (error ? reject(new Error(error)) : resolve(value)))
      port.postMessage({ id, name, args })
    })
  const hear = async (/** @type {any} */ { data }) => {
    if (!data.source) return waiting.get(data.id)?.(data)
    const setting = isNode ? { ...data.setting, control } : data.setting
    port.postMessage({ result: await run(data.source, setting, WebSocket) })
  }
  if (isNode) port.on('message', (/** @type {any} */ data) => hear({ data }))
  else port.onmessage = hear
}

if (isNode) {
  const { parentPort } = await import('node:worker_threads')
  serve(parentPort, (await import('ws')).default)
  parentPort?.postMessage({ isHere: true })
} else if ('onconnect' in globalThis) {
  /** @type {any} */ (globalThis).onconnect = (/** @type {MessageEvent} */ { ports: [port] }) => serve(port)
} else serve(globalThis)
