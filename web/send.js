/**
 * The queue of what is to be published: bounded, in order, each once.
 * Every publish has the key `SESSIONID:N`; until it is answered it is sent again, by whatever way
 * there is, under the same key, and the hub acts on each key once. Knows no ladder and no channel.
 */
import { foreign, newNonce, TriwayError } from './frame.js'

/** Publishes waiting for their answers: more than any burst of a page, and a bound for its memory. */
const QUEUE_COMMANDS = 1000
/** Characters waiting: a page that is cut off must not grow without end. */
const QUEUE_SIZE = 8 * 1024 * 1024
/** Commands in one POST, and their characters: an answer lost on the way costs one batch. */
const BATCH_COMMANDS = 100
const BATCH_SIZE = 256 * 1024
/** First and longest pause after a request that failed, in ms. */
const RETRY_FIRST_MS = 250
const RETRY_MOST_MS = 5000
/** Failures in a row after which POST counts as blocked, and those after which a GET is given up. */
const POSTS_MOST = 2
const GETS_MOST = 2
/** Longest address, in characters: the one to begin with, which every box takes, and the hub's bound. */
const ADDRESS_FIRST = 500
const ADDRESS_MOST = 4096

/**
 * @typedef {object} Entry
 * @property {string} encoded the command without key, as it was when it was published
 * @property {any} [key] its own
 * @property {boolean} [isSent] it may have acted
 * @property {(value: any) => void} fulfil
 * @property {(error: any) => void} refuse
 *
 * @typedef {{ok?: any, id?: string, reached?: any, error?: any, isLost?: boolean}} Reply `isLost` when it is none of the hub's
 * @typedef {(json: string, onReply: (reply: any) => any) => void} Socket
 */

/** @typedef {ReturnType<typeof newSending>} Sending */

const blocked = () => new TriwayError('post_blocked', { hint: 'POST is blocked, and a GET has too little room' })

/**
 * @param {{state: string, transport: import('./cuts.js').Transport | null}} hub its transport is named in refusals
 * @param {boolean} isShared by tabs: who reads for all may change before it has answered, and a key must be the same for all
 * @param {import('./ask.js').Asking} asking
 * @param {(fact: 'expired' | 'blocked') => void} tell
 */
export function newSending(hub, isShared, { at, ask }, tell) {
  /** @type {Entry[]} */
  const queue = []
  let session = ''
  /** N of the key of the first of the queue; the others follow. */
  let first = 0
  /** The way: a WS's, or true for requests. @type {Socket | boolean | undefined} */
  let way
  /** POST is blocked: one at a time by GET. */
  let byGet = false
  let addressMost = ADDRESS_FIRST
  let batchMost = BATCH_COMMANDS
  let isAsking = false
  /** So many, the first of the queue, are on their way. */
  let sent = 0
  let failures = 0
  /** Grows whenever all that has no answer is to be sent again: what an earlier round is answered is no word. */
  let round = 0
  /** @type {any} */
  let pause

  /** @param {string} encoded @param {AbortSignal} [signal] @param {any} [key] @returns {Promise<any>} */
  const add = (encoded, signal, key = isShared && newNonce()) =>
    new Promise((fulfil, refuse) => {
      signal?.throwIfAborted()
      if (hub.state === 'closed') throw new TriwayError('closed')
      const size = queue.reduce((sum, entry) => sum + entry.encoded.length, 0)
      if (queue.length >= QUEUE_COMMANDS || (size && size + encoded.length > QUEUE_SIZE)) throw new TriwayError('queue_full')
      /** @type {Entry} */
      const entry = { encoded, key, fulfil, refuse }
      queue.push(entry)
      signal?.addEventListener('abort', () => {
        // What was sent may have acted: it stays, to be answered, so that no key is ever skipped.
        if (!entry.isSent) queue.splice(queue.indexOf(entry), 1)
        refuse(signal.reason)
      })
      pump()
    })

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
    again()
  }

  function again(pauseMs = 0) {
    round++
    sent = 0
    clearTimeout(pause)
    pause = pauseMs && setTimeout(again, pauseMs)
    pump()
  }

  /** Sends what is not on its way: on a WS all at once, by requests when the last one was answered. */
  async function pump() {
    const byRequest = way === true
    if (pause || !way || (byRequest && isAsking)) return
    let size = 0
    const batch = queue.slice(sent, sent + (byRequest && !byGet ? batchMost : 1)).filter(({ encoded }, index) => (size += encoded.length) <= BATCH_SIZE || !index)
    if (!batch[0]) return
    const mine = round
    const texts = batch.map((entry, index) => {
      entry.isSent = true
      return `{"key":"${entry.key || session + ':' + (first + sent + index)}",${entry.encoded.slice(1)}`
    })
    sent += texts.length
    isAsking ||= byRequest
    const answer = send(texts)
    pump()
    const replies = await answer.catch((error) => {
      const { status } = error
      if (status !== 413 || !texts[1]) return [{ error, isLost: status !== 413 && (!error.hint || error.code === 'bad_json') }]
      batchMost = texts.length >> 1
      return []
    })
    if (byRequest) isAsking = false
    if (mine === round) {
      sent -= texts.length
      batch.every((entry, index) => replies[index] && settle(replies[index]))
    }
    pump()
  }

  /** @param {string[]} texts @returns {Promise<Reply[]>} */
  async function send(texts) {
    if (way !== true) return [await new Promise((resolve) => /** @type {Socket} */ (way)(texts[0], resolve))]
    const replies = byGet ? [await get(texts[0])] : await ask('send', {}, `[${texts}]`)
    if (!replies[0]) throw foreign()
    failures = 0
    batchMost = BATCH_COMMANDS
    return replies
  }

  /** One publish as an address. Boxes differ in how long a one they take: a longer one is proven by what may be lost. @param {string} text */
  async function get(text) {
    const { channel, data, data64, key, name } = JSON.parse(text)
    const path = 'pub/' + encodeURIComponent(channel)
    const more = { key, name, data: JSON.stringify(data) }
    const length = at(path, more).length
    if (data64 != null || length > ADDRESS_MOST) throw blocked()
    if (length > addressMost) {
      await ask('healthz', { pad: '.'.repeat(length) })
      addressMost = length
    }
    const answer = await ask(path, more)
    return answer?.id && { ok: true, ...answer }
  }

  /** @param {Reply} reply to the first of the queue @returns {boolean} whether that is done with */
  function settle({ ok, id, reached, error = { code: 'failed' }, isLost }) {
    const { code, status, expected } = error
    const isExpired = code === 'session_expired'
    if (!(isLost || expected || isExpired || status === 429 || status === 503)) {
      const entry = /** @type {Entry} */ (queue.shift())
      first++
      if (ok) entry.fulfil({ id, reached })
      else entry.refuse(new TriwayError(code, { ...error, transport: hub.transport }))
      return true
    }
    again(error.afterMs || Math.min(RETRY_FIRST_MS * 2 ** failures++, RETRY_MOST_MS))
    // The hub counts otherwise (a key was used up by a refusal on the way): go on as it counts.
    if (expected) first = expected
    else if (isExpired) tell('expired')
    else if (isLost && byGet) return failures > GETS_MOST && settle({ error: blocked() })
    else if (isLost && (error.foreign || failures >= POSTS_MOST || /Abort|Timeout/.test(error.name))) {
      byGet = true
      failures = 0
      tell('blocked')
    }
    return false
  }

  /** Nothing more is sent. @param {TriwayError} error */
  function close(error) {
    by()
    for (const entry of queue.splice(0)) entry.refuse(error)
  }

  return { add, by, close }
}
