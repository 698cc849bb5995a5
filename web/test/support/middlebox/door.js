/**
 * A door in front of a hub that requires a credential. It answers with the hub's own messages, and stands in for an
 * application that authorizes, since the hub's program checks no tokens. Knows where a request can have a
 * credential.
 */
import { createHash } from 'node:crypto'
import { headBytes, headerOf } from './http.js'

/** @typedef {import('./http.js').Head} Head @typedef {import('../middlebox.js').Request} Request */

/** Part of the handshake (RFC 6455, section 4.2.2). */
const ACCEPT = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const UNAUTHORIZED = 3501

/** @param {Head} head @param {string} token */
function isInSubprotocol(head, token) {
  const named = /triway\.bearer\.([\w-]+)/.exec(headerOf(head, 'sec-websocket-protocol') ?? '')
  return !!named && Buffer.from(named[1], 'base64url').toString() === token
}

/** Returns whether the request has the token, or the key of a session that began with it. @param {Request} request @param {string} token */
export function hasCredential({ head, body, url }, token) {
  const query = new URL(url, 'http://hub').searchParams
  return (
    headerOf(head, 'authorization') === `Bearer ${token}` ||
    isInSubprotocol(head, token) ||
    new RegExp(`(^|; *)token=${token}(;|$)`).test(headerOf(head, 'cookie') ?? '') ||
    [...query.keys()].some((name) => name === 'session' && !!query.get(name)) ||
    new RegExp(`"token"\\s*:\\s*"${token}"|"session"\\s*:\\s*"[^"]`).test(String(body))
  )
}

/** @param {Request} request @returns {Buffer} the refusal, as the hub writes it */
export function unauthorized({ head, body, url, kind }) {
  const nonce = new URL(url, 'http://hub').searchParams.get('nonce') ?? /"nonce"\s*:\s*"([^"]+)"/.exec(String(body))?.[1]
  const problem = { type: '/problems/unauthorized', title: 'Unauthorized', status: 401, code: 'unauthorized', hint: 'Send a token', ...(nonce && { nonce }) }
  return kind === 'ws' ? byeBytes(head, problem) : answerBytes(problem, headerOf(head, 'origin'))
}

/** @param {object} problem @param {string | undefined} origin */
function answerBytes(problem, origin) {
  const body = JSON.stringify(problem)
  /** @type {[string, string][]} */
  const cors = origin ? [['Access-Control-Allow-Origin', origin], ['Access-Control-Allow-Credentials', 'true']] : []
  const headers = /** @type {[string, string][]} */ ([['Content-Type', 'application/problem+json'], ['WWW-Authenticate', 'Bearer'], ['Content-Length', String(body.length)], ['Connection', 'close'], ...cors])
  return Buffer.concat([headBytes({ start: 'HTTP/1.1 401 Unauthorized', headers }), Buffer.from(body)])
}

/** Returns a valid handshake, a `bye`, and a close with its code. @param {Head} head @param {object} error */
function byeBytes(head, error) {
  const accept = createHash('sha1').update(headerOf(head, 'sec-websocket-key') + ACCEPT).digest('base64')
  /** @type {[string, string][]} */
  const headers = [['Upgrade', 'websocket'], ['Connection', 'Upgrade'], ['Sec-WebSocket-Accept', accept]]
  if (/triway\.v1/.test(headerOf(head, 'sec-websocket-protocol') ?? '')) headers.push(['Sec-WebSocket-Protocol', 'triway.v1'])
  const text = Buffer.from(JSON.stringify({ type: 'bye', code: UNAUTHORIZED, reason: 'unauthorized', reconnect: false, error }))
  const close = Buffer.from([0x88, 2, UNAUTHORIZED >> 8, UNAUTHORIZED & 0xff])
  return Buffer.concat([headBytes({ start: 'HTTP/1.1 101 Switching Protocols', headers }), Buffer.from([0x81, 126, text.length >> 8, text.length & 0xff]), text, close])
}
