/**
 * Reads frames by long polling: a chain of requests, each from the cursor that the last one gave.
 * Knows no ladder; the one rule of cursors it knows is that an answer names the next.
 */
import { refused, TriwayError, withBytes } from './frame.js'
import { credentials, post } from './sse.js'

/** Bits of randomness in a nonce are 64: enough that no cache ever holds an answer to it. */
export const newNonce = () => Array.from(crypto.getRandomValues(new Uint32Array(2)), (word) => word.toString(36)).join('')

/**
 * @param {import('./ws.js').Opening} opening
 * @returns {AsyncGenerator<import('./frame.js').Frame>}
 */
export async function* readPoll({ url, nonce, cursor, signal, token, body, globals }) {
  for (;;) {
    const response = await globals.fetch(url(cursor, nonce), {
      signal,
      cache: 'no-store',
      headers: credentials(token),
      ...post(body?.(cursor)),
    })
    if (!response.ok) throw await refused(response)
    let answer
    try {
      answer = JSON.parse(await response.text())
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
    }
    // An answer out of a cache carries the nonce of somebody else's request.
    if (answer?.nonce !== nonce) throw new TriwayError('foreign', 'not an answer to this poll', { status: response.status, foreign: true })
    yield { type: 'head' }
    for (const frame of answer.frames) yield withBytes(frame)
    cursor = answer.cursor
    yield { type: 'cursor', id: cursor }
    nonce = newNonce()
  }
}
