/**
 * Reads frames by long polling: a chain of requests, each from the cursor that the last one gave.
 * Knows no ladder; the one rule of cursors it knows is that an answer names the next.
 */
import { foreign, refused, TriwayError, withBytes } from './frame.js'
import { request } from './sse.js'

/** 64 bits: no cache ever holds an answer to it. */
export const newNonce = () => crypto.getRandomValues(new Uint32Array(2)).join('')

/** @param {import('./ws.js').Opening} opening @returns {AsyncGenerator<import('./frame.js').Frame>} */
export async function* readPoll({ url, nonce, cursor, signal, token, body, globals }) {
  for (;;) {
    const response = await globals.fetch(url(cursor, nonce), { ...request(token, body?.(cursor)), signal })
    if (!response.ok) throw await refused(response)
    const text = await response.text()
    let answer
    try {
      answer = JSON.parse(text)
    } catch {
      // WebKit gives a body that was cut short as if it were whole. Anything else is somebody's page.
      if (/^\s*({|$)/.test(text)) return
    }
    // An answer out of a cache has the nonce of another request.
    if (answer?.nonce !== nonce) throw answer?.frames ? new TriwayError('cached') : foreign()
    yield { type: 'head' }
    for (const frame of answer.frames) yield withBytes(frame)
    cursor = answer.cursor
    yield { type: 'cursor', id: cursor }
    nonce = newNonce()
  }
}
