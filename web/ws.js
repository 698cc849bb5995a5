/**
 * Reads frames from a WebSocket. Knows no cursor rules and no ladder: what to read is in the address.
 */
import { Inflow } from './inflow.js'
import { parseFrame, TriwayError } from './frame.js'

/**
 * What the reader's platform offers; where it lacks something, the application may pass it in.
 * @typedef {object} Globals
 * @property {typeof globalThis.fetch} fetch
 * @property {any} [WebSocket]
 * @property {typeof globalThis.EventSource} [EventSource]
 * @property {any} [ReadableStream]
 */

/**
 * @typedef {object} Opening what every reader is given
 * @property {(cursor: string | undefined, nonce: string) => string} url
 * @property {string} nonce
 * @property {string} [cursor]
 * @property {AbortSignal} signal
 * @property {string} [token]
 * @property {(cursor: string | undefined) => string | undefined} [body] channels and starts, where the address would be too long
 * @property {Globals} globals
 * @property {(send: (message: string | Uint8Array<ArrayBuffer>) => void) => void} [sendable]
 */

/**
 * Frame JSON, a line feed, the raw bytes: how bytes travel on WS without base64.
 * @param {ArrayBuffer} message
 */
function parseBinary(message) {
  const bytes = new Uint8Array(message)
  const border = bytes.indexOf(10)
  const frame = parseFrame(new TextDecoder().decode(bytes.subarray(0, border)))
  frame.data = message.slice(border + 1)
  return frame
}

/** @param {string} token a browser cannot set headers here, so the credential is a subprotocol */
const bearer = (token) => ['triway.v1', 'triway.bearer.' + btoa(token).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '')]

/**
 * @param {Opening} opening
 * @returns {AsyncGenerator<import('./frame.js').Frame>}
 */
export async function* readWs({ url, nonce, cursor, signal, token, globals, sendable }) {
  if (!globals.WebSocket) throw new TriwayError('unsupported', 'there is no WebSocket here')
  /** @type {Inflow<import('./frame.js').Frame>} */
  const inflow = new Inflow()
  /** @type {WebSocket} */
  const socket = new globals.WebSocket(url(cursor, nonce).replace(/^http/, 'ws'), token ? bearer(token) : [])
  socket.binaryType = 'arraybuffer'
  // Nothing to learn from it: `close` follows. Without a listener, Node's `ws` throws.
  socket.onerror = () => {}
  socket.onopen = () => {
    sendable?.((message) => socket.send(message))
    inflow.push({ type: 'head' })
  }
  socket.onmessage = (/** @type {MessageEvent} */ { data }) => {
    try {
      inflow.push(typeof data === 'string' ? parseFrame(data) : parseBinary(data))
    } catch {
      inflow.end(new TriwayError('foreign', 'a message that is no frame', { foreign: true }))
    }
  }
  // A refused Upgrade is 1006 too: browsers tell no reason.
  socket.onclose = (/** @type {CloseEvent} */ { code, reason }) =>
    inflow.end(code === 1006 ? undefined : new TriwayError('closed', `${code} ${reason}`))
  const end = () => inflow.end()
  signal.addEventListener('abort', end)
  try {
    yield* inflow
  } finally {
    signal.removeEventListener('abort', end)
    socket.onmessage = socket.onclose = null
    socket.close(1000)
  }
}
