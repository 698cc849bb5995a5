/**
 * Reads frames from a WebSocket. Knows no cursor rules and no ladder: what to read is in the address.
 */
import { pushed } from './inflow.js'

/**
 * What the reader's platform offers; where it lacks something, the application may pass it in.
 * @typedef {object} Globals
 * @property {typeof globalThis.fetch} fetch
 * @property {any} [WebSocket]
 * @property {any} [EventSource]
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

/** A browser cannot set headers here, so the credential is a subprotocol. @param {string} [token] */
const protocols = (token) =>
  token ? ['triway.v1', 'triway.bearer.' + btoa(token).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '')] : []

/** @param {Opening} opening */
export function readWs({ url, nonce, cursor, signal, token, globals, sendable }) {
  const socket = new globals.WebSocket(url(cursor, nonce).replace(/^http/, 'ws'), protocols(token))
  socket.binaryType = 'arraybuffer'
  return pushed(socket, signal, () => sendable?.((message) => socket.send(message)))
}
