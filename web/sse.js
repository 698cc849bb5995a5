/**
 * Reads frames from an event stream: through fetch, so that status, headers and timing are visible,
 * or through EventSource where responses cannot be streamed. Knows no cursor rules and no ladder.
 */
import { foreign, parseFrame, refused } from './frame.js'
import { pushed } from './inflow.js'

/**
 * @param {string} [token]
 * @param {string} [body]
 * @returns {RequestInit}
 */
export const request = (token, body) => ({
  cache: 'no-store',
  // The hub redirects nobody: a portal does, to a page that leads nowhere.
  redirect: 'manual',
  headers: token ? { Authorization: 'Bearer ' + token } : {},
  ...(body && { method: 'POST', body }),
})

/** @param {import('./ws.js').Opening} opening @returns {AsyncGenerator<import('./frame.js').Frame>} */
export async function* readSse({ url, nonce, cursor, signal, token, body, globals }) {
  const address = url(cursor, nonce)
  if (!globals.ReadableStream) return yield* pushed(new globals.EventSource(address), signal)
  const response = await globals.fetch(address, { ...request(token, body?.(cursor)), signal })
  if (!response.ok) throw await refused(response)
  if (!/^text\/event-stream/.test(response.headers.get('content-type') ?? '')) throw foreign()
  yield { type: 'head' }
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader()
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    // In format full each frame is one block with one line of data; comments and `retry` have none.
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/)
    rest = /** @type {string} */ (lines.pop())
    for (const line of lines) if (line.startsWith('data:')) yield parseFrame(line.slice(5))
  }
}
