/**
 * Reads frames from a WebSocket. Knows no cursor rules and no ladder: what to read is in the address.
 */
import { parseFrame } from './frame.js'

/** A browser cannot set headers here, so the credential is a subprotocol. @param {string} [token] */
const protocols = (token) =>
  token ? ['triway.v1', 'triway.bearer.' + btoa(token).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '')] : []

/**
 * @param {any} WebSocket the platform's, or one that was passed in
 * @param {string} address
 * @param {string | undefined} token
 * @param {{socket?: (message: string) => void}} attach its `socket` is set
 * @param {AbortSignal} signal
 * @param {(frame: import('./frame.js').Frame) => void} tell
 * @returns {Promise<any>} its end; a WebSocket tells no reason
 */
export const readWs = (WebSocket, address, token, attach, signal, tell) =>
  new Promise((end, fail) => {
    const socket = new WebSocket(address.replace(/^http/, 'ws'), protocols(token))
    socket.binaryType = 'arraybuffer'
    attach.socket = (message) => socket.send(message)
    socket.onmessage = (/** @type {MessageEvent} */ { data }) => {
      try {
        tell(parseFrame(data))
      } catch (error) {
        fail(error)
      }
    }
    // Without a listener for `error` a WebSocket throws in Node.
    socket.onclose = socket.onerror = end
    signal.onabort = () => socket.close(signal.reason)
  })
