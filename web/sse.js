/**
 * Reads frames from an event stream: through fetch, so that status, headers and timing are visible,
 * or through EventSource where responses cannot be streamed. Knows no cursor rules and no ladder.
 */
import { Inflow } from './inflow.js'
import { parseFrame, refused, TriwayError } from './frame.js'

/** @typedef {import('./frame.js').Frame} Frame */

/** @param {string} [token] @returns {Record<string, string>} */
export const credentials = (token) => (token ? { Authorization: 'Bearer ' + token } : {})

/** @param {string} [body] */
export const post = (body) => (body ? { method: 'POST', body } : {})

/**
 * The frame in one block of an event stream, if it holds one (comments and `retry` do not).
 * @param {string} block
 */
function frameOf(block) {
  const data = block
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(line[5] === ' ' ? 6 : 5))
  return data.length ? parseFrame(data.join('\n')) : undefined
}

/**
 * @param {import('./ws.js').Opening} opening
 * @returns {AsyncGenerator<Frame>}
 */
export async function* readSse(opening) {
  const { url, nonce, cursor, signal, token, body, globals } = opening
  if (!globals.fetch || !globals.ReadableStream) return yield* readEventSource(opening)
  const response = await globals.fetch(url(cursor, nonce), {
    signal,
    cache: 'no-store',
    headers: { Accept: 'text/event-stream', ...credentials(token) },
    ...post(body?.(cursor)),
  })
  if (!response.ok) throw await refused(response)
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
    throw new TriwayError('foreign', 'not an event stream', { status: response.status, foreign: true })
  }
  yield { type: 'head' }
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader()
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const blocks = (rest + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/)
    rest = /** @type {string} */ (blocks.pop())
    for (const block of blocks) {
      const frame = frameOf(block)
      if (frame) yield frame
    }
  }
}

/**
 * The same by EventSource. It would reconnect by itself with its old address, so it is closed at
 * its first error: coming back is the ladder's decision.
 * @param {import('./ws.js').Opening} opening
 * @returns {AsyncGenerator<Frame>}
 */
async function* readEventSource({ url, nonce, cursor, signal, globals }) {
  if (!globals.EventSource) throw new TriwayError('unsupported', 'there is neither a stream nor EventSource here')
  /** @type {Inflow<Frame>} */
  const inflow = new Inflow()
  const source = new globals.EventSource(url(cursor, nonce))
  source.onopen = () => inflow.push({ type: 'head' })
  source.onmessage = ({ data }) => inflow.push(parseFrame(data))
  source.onerror = () => inflow.end(new TriwayError('failed', 'the event stream ended'))
  const end = () => inflow.end()
  signal.addEventListener('abort', end)
  try {
    yield* inflow
  } finally {
    signal.removeEventListener('abort', end)
    source.close()
  }
}
