/** A guest in a shared worker. `serve` lets messages of a port call the guest of any worker. */
import { connect } from '/client.mjs'
import { Guest } from '/guest.js'

/** @type {any} */
let guest

/** @param {MessagePort} port */
export function serve(port) {
  port.onmessage = async ({ data: { id, name, args } }) => {
    try {
      if (name === 'come') guest ??= new Guest(connect, .../** @type {[string, any, any]} */ (args))
      port.postMessage({ id, value: name === 'come' ? 0 : await guest[name](...args) })
    } catch (error) {
      port.postMessage({ id, error: String(error) })
    }
  }
}

/** @type {any} */ (globalThis).onconnect = (/** @type {MessageEvent} */ { ports: [port] }) => serve(port)
