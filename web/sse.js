/**
 * Reads frames from an event stream, through fetch, so that status, headers and timing are visible.
 * Knows no cursor rules and no ladder. There is no way by EventSource: every engine that reads the
 * client's syntax (ES2022) can read a response as it comes.
 */
import { foreign, parseFrame } from './frame.js'

/**
 * @param {Response} response
 * @param {(frame: import('./frame.js').Frame) => void} tell
 */
export async function readSse({ headers, body }, tell) {
  if (!/^text\/event-stream/.test(/** @type {any} */ (headers.get('content-type')))) throw foreign()
  tell({ type: 'head' })
  const reader = /** @type {ReadableStream<Uint8Array>} */ (body).getReader()
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    // A CR at the end of a line is space to JSON. In format full each frame is one block with one line of data; comments and `retry` have none.
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
    rest = /** @type {string} */ (lines.pop())
    for (const line of lines) if (line.startsWith('data:')) tell(parseFrame(line.slice(5)))
  }
}
