/** Reads frames from a WebSocket. The address says what to read. Knows no cursor and no ladder. */
import { parseFrame } from './frame.js'

/** A browser cannot set headers here, so the credential is a subprotocol. @param {string} [token] */
const protocols = (token) => (token ? ['triway.v1', 'triway.bearer.' + btoa(unescape(encodeURIComponent(token))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '')] : [])

/**
 * @param {object} target
 * @param {any} target.WebSocket of the platform, or the application's own
 * @param {string} target.address
 * @param {string | undefined} target.token
 * @param {{socket?: (message: string) => void}} target.attachment whose `socket` is set
 * @param {AbortSignal} target.signal
 * @param {(frame: import('./frame.js').Frame) => void} onFrame
 * @returns {Promise<number>} the code of its close
 */
export const readWs = ({ WebSocket, address, token, attachment, signal }, onFrame) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(address.replace(/^http/, 'ws'), protocols(token))
    socket.binaryType = 'arraybuffer'
    attachment.socket = (message) => socket.send(message)
    socket.onmessage = (/** @type {MessageEvent} */ { data }) => {
      try {
        onFrame(parseFrame(data))
      } catch (error) {
        reject(error)
      }
    }
    socket.onclose = (/** @type {CloseEvent} */ { code }) => resolve(code)
    // In Node, a WebSocket without a listener for `error` throws. Some implementations report no close after an error.
    socket.onerror = () => setTimeout(resolve, 0, 0)
    // The listeners are removed, so that a socket that closes slowly keeps nothing alive.
    signal.onabort = () => {
      socket.onmessage = socket.onclose = null
      socket.close(signal.reason)
      reject(signal.reason)
    }
  })
