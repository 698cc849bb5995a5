/**
 * Reads frames from an event stream, by fetch, since EventSource hides status, headers and timing. Every engine
 * that supports the client's syntax (ES2022) can read a response as it arrives. Knows no cursor and no ladder.
 */
import { foreign, parseFrame } from './frame.js'

/**
 * @param {Response} response
 * @param {(frame: import('./frame.js').Frame) => void} onFrame
 */
export async function readSse({ headers, body }, onFrame) {
  if (!/^text\/event-stream/.test(/** @type {any} */ (headers.get('content-type')))) throw foreign()
  onFrame({ type: 'head' })
  const reader = /** @type {ReadableStream<Uint8Array>} */ (body).getReader()
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    // In format full each frame is one block with one line of data; comments and `retry` have none. JSON ignores a CR at the end of a line.
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
    rest = /** @type {string} */ (lines.pop())
    for (const line of lines) if (line.startsWith('data:')) onFrame(parseFrame(line.slice(5)))
  }
}
