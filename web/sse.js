/**
 * Reads frames from an event stream, through fetch, so that status, headers and timing are visible.
 * Knows no cursor rules and no ladder. EventSource is not used: every engine that reads the client's syntax
 * (ES2022) can read a response as it comes.
 */
import { foreign, parseFrame } from './frame.js'

/**
 * @param {Response} response
 * @param {(frame: import('./frame.js').Frame) => void} hear
 */
export async function readSse({ headers, body }, hear) {
  if (!/^text\/event-stream/.test(/** @type {any} */ (headers.get('content-type')))) throw foreign()
  hear({ type: 'head' })
  const reader = /** @type {ReadableStream<Uint8Array>} */ (body).getReader()
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    // A CR at the end of a line is space to JSON. In format full each frame is one block with one line of data; comments and `retry` have none.
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
    rest = /** @type {string} */ (lines.pop())
    for (const line of lines) if (line.startsWith('data:')) hear(parseFrame(line.slice(5)))
  }
}
