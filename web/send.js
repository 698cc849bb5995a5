/**
 * The queue of what is to be published: bounded, in order, each once.
 * Every publish has the key `SESSIONID:N`; until it is answered it is sent again, by whatever way
 * there is, under the same key, and the hub acts on each key once. Knows no ladder and no channel.
 */
import { base64Of, foreign, TriwayError } from './frame.js'

/** Publishes waiting for their answers: more than any burst of a page, and a bound for its memory. */
const QUEUE_COMMANDS = 1000
/** Characters waiting: a page that is cut off must not grow without end. */
const QUEUE_SIZE = 8 * 1024 * 1024
/** Commands in one POST, and their characters: an answer lost on the way costs one batch. */
const BATCH_COMMANDS = 100
const BATCH_SIZE = 256 * 1024
/** First and longest pause after a POST that failed, in ms. */
const RETRY_FIRST_MS = 250
const RETRY_MOST_MS = 5000
/** A request without an answer for so long, in ms, hangs. */
const ANSWER_MOST_MS = 5000
/** Failures in a row after which POST counts as blocked, and those after which a GET is given up. */
const POSTS_MOST = 2
const GETS_MOST = 2
/** Longest address, in characters: the one to begin with, which every box takes, and the hub's bound. */
const ADDRESS_FIRST = 500
const ADDRESS_MOST = 4096

const blocked = () => new TriwayError('post_blocked', { hint: 'POST is refused on the way, and this does not fit an address' })

/**
 * @typedef {object} Entry
 * @property {string} encoded the command without key, as it was when it was published
 * @property {string} [key] its own
 * @property {number} [round] in which it was sent last
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 *
 * @typedef {Pick<import('./frame.js').Frame, 'ok' | 'error' | 'id' | 'reached'>} Reply
 * @typedef {(json: string, onReply: (reply: Reply) => any) => void} Socket
 */

/** @typedef {ReturnType<typeof newSending>} Sending */

/**
 * @param {{transport: import('./cuts.js').Transport | null}} hub named in refusals
 * @param {(path: string, more?: Record<string, any>) => string} at an address of the hub, as this session
 * @param {(address: string, init?: RequestInit) => Promise<any>} ask
 * @param {(what: 'expired' | 'blocked') => void} tell
 */
export function newSending(hub, at, ask, tell) {
  /** @type {Entry[]} */
  const queue = []
  let session = ''
  /** N of the key of the first that has none of its own; the others follow. */
  let first = 0
  /** The way: a WS's, or true for requests. @type {Socket | boolean | undefined} */
  let way
  /** POST is blocked: one at a time by GET. */
  let byGet = false
  let addressMost = ADDRESS_FIRST
  let batchMost = BATCH_COMMANDS
  let isAsking = false
  let failures = 0
  /** Grows whenever all that has no answer is to be sent again. */
  let round = 0
  /** @type {any} */
  let pause

  /**
   * @param {Record<string, any>} command
   * @param {any} data
   * @param {AbortSignal} [signal]
   */
  function push({ key, ...command }, data, signal) {
    const data64 = base64Of(data)
    return add(JSON.stringify({ ...command, ...(data64 == null ? { data: data ?? null } : { data64 }) }), key, signal)
  }

  /**
   * @param {string} encoded
   * @param {string} [key]
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  function add(encoded, key, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const size = queue.reduce((sum, entry) => sum + entry.encoded.length, 0)
      if (queue.length >= QUEUE_COMMANDS || (size && size + encoded.length > QUEUE_SIZE)) throw new TriwayError('queue_full')
      /** @type {Entry} */
      const entry = { encoded, key, resolve, reject }
      queue.push(entry)
      signal?.addEventListener('abort', () => {
        // What was sent may have acted: it stays, to be answered, so that no key is ever skipped.
        if (!entry.round) remove(entry)
        reject(signal.reason)
      })
      pump()
    })
  }

  /** @param {Entry} entry */
  function remove(entry) {
    const place = queue.indexOf(entry)
    if (place < 0) return
    queue.splice(place, 1)
    if (entry.round && !entry.key) first++
  }

  /**
   * From now on by this way; all that has no answer is sent again.
   * @param {string} [id] of the session whose keys are used; a new one begins its own count
   * @param {Socket | boolean} [next]
   */
  function by(id = session, next) {
    // Another tab may have counted for the same session before: then the hub says where it stands.
    if (id !== session) first = Date.now()
    session = id
    way = next
    byGet = false
    failures = 0
    again(0)
  }

  /** @param {number} pauseMs */
  function again(pauseMs) {
    round++
    clearTimeout(pause)
    pause = pauseMs && setTimeout(again, pauseMs, 0)
    pump()
  }

  /** @param {Entry} entry */
  const keyOf = (entry) => entry.key ?? `${session}:${first + queue.filter(({ key }) => !key).indexOf(entry)}`

  /** The command with its key. @param {Entry} entry */
  function text(entry) {
    entry.round = round
    return `{"key":"${keyOf(entry)}",${entry.encoded.slice(1)}`
  }

  function pump() {
    if (pause) return
    if (typeof way === 'function') for (const entry of queue) if (entry.round !== round) write(entry, way)
    if (way === true && !isAsking && queue.length) request()
  }

  /** @param {Entry} entry @param {Socket} socket */
  function write(entry, socket) {
    const sent = round
    socket(text(entry), (reply) => sent === round && settle(entry, reply))
  }

  /**
   * @param {Entry} entry
   * @param {Reply} reply
   * @returns {boolean} whether what follows it was acted on
   */
  function settle(entry, { ok, error = { code: 'failed' }, id, reached }) {
    if (!ok && retries(error)) return false
    remove(entry)
    if (ok) entry.resolve({ id, reached })
    else entry.reject(new TriwayError(error.code, { ...error, transport: hub.transport }))
    return true
  }

  /** @param {Partial<import('./frame.js').Problem>} problem @returns {boolean} whether all is sent again, later */
  function retries({ code, status, expected, afterMs }) {
    // The hub counts otherwise (a key was used up by a refusal on the way): go on as it counts.
    if (expected) first = expected
    else if (code === 'session_expired') tell('expired')
    else if (status !== 429 && status !== 503) return false
    const pauseMs = Math.min(RETRY_FIRST_MS * 2 ** failures++, RETRY_MOST_MS)
    again(afterMs || pauseMs)
    return true
  }

  async function request() {
    isAsking = true
    let size = 0
    const batch = queue.slice(0, byGet ? 1 : batchMost).filter((entry) => (size += entry.encoded.length) <= BATCH_SIZE || entry === queue[0])
    const signal = AbortSignal.timeout(ANSWER_MOST_MS)
    try {
      const replies = byGet ? [await get(batch[0], signal)] : await ask(at('send'), { method: 'POST', body: `[${batch.map(text)}]`, signal })
      if (!replies[0]) throw foreign()
      failures = 0
      batchMost = BATCH_COMMANDS
      batch.every((entry, index) => replies[index] && settle(entry, replies[index]))
    } catch (error) {
      refused(batch, /** @type {TriwayError} */ (error), signal.aborted)
    }
    isAsking = false
    pump()
  }

  /** One publish as an address. Boxes differ in how long a one they take: a longer one is proven by what may be lost. @param {Entry} entry @param {AbortSignal} signal */
  async function get(entry, signal) {
    text(entry)
    const { channel, name, data, data64 } = JSON.parse(entry.encoded)
    const address = at('pub/' + encodeURIComponent(channel), { key: keyOf(entry), name, data: JSON.stringify(data) })
    const { length } = address
    if (data64 != null || length > ADDRESS_MOST) throw blocked()
    if (length > addressMost) await ask(at('healthz', { pad: '.'.repeat(length) }), { signal })
    addressMost = Math.max(addressMost, length)
    const answer = await ask(address, { signal })
    return answer?.id && { ok: true, ...answer }
  }

  /** @param {Entry[]} batch @param {TriwayError} error @param {boolean} isHung */
  function refused(batch, error, isHung) {
    const { code, status, hint, foreign, afterMs } = error
    if (status === 413 && batch.length > 1) batchMost = batch.length >> 1
    // Our JSON is good: what the hub calls bad was spoiled on the way.
    else if (status === 413 || (hint && code !== 'bad_json')) settle(batch[0], { error })
    else {
      retries({ status: 503, afterMs })
      if (!byGet && (isHung || foreign || failures >= POSTS_MOST)) {
        byGet = true
        failures = 0
        tell('blocked')
      } else if (byGet && failures > GETS_MOST) settle(batch[0], { error: blocked() })
    }
  }

  /** Nothing more is sent. @param {TriwayError} error */
  function close(error) {
    by()
    for (const { reject } of queue.splice(0)) reject(error)
  }

  return { push, add, by, close }
}
