/** Reads frames from a WebSocket. Knows no cursor rules and no ladder: what to read is in the address. */
import { parseFrame } from './frame.js'

/** A browser cannot set headers here, so the credential is a subprotocol. @param {string} [token] */
const protocols = (token) => (token ? ['triway.v1', 'triway.bearer.' + btoa(unescape(encodeURIComponent(token))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '')] : [])

/**
 * @param {object} how
 * @param {any} how.WebSocket the platform's, or one that was passed in
 * @param {string} how.address
 * @param {string | undefined} how.token
 * @param {{socket?: (message: string) => void}} how.attachment its `socket` is set
 * @param {AbortSignal} how.signal
 * @param {(frame: import('./frame.js').Frame) => void} hear
 * @returns {Promise<number>} its end, with the code of its close
 */
export const readWs = ({ WebSocket, address, token, attachment, signal }, hear) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(address.replace(/^http/, 'ws'), protocols(token))
    socket.binaryType = 'arraybuffer'
    attachment.socket = (message) => socket.send(message)
    socket.onmessage = (/** @type {MessageEvent} */ { data }) => {
      try {
        hear(parseFrame(data))
      } catch (error) {
        reject(error)
      }
    }
    socket.onclose = (/** @type {CloseEvent} */ { code }) => resolve(code)
    // Without a listener for `error` a WebSocket throws in Node; some report no close after it.
    socket.onerror = () => setTimeout(resolve, 0, 0)
    // The listeners go with it: a socket that closes slowly keeps nothing.
    signal.onabort = () => {
      socket.onmessage = socket.onclose = null
      socket.close(signal.reason)
      reject(signal.reason)
    }
  })
