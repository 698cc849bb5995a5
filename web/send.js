/**
 * The queue of what is to be published: bounded, in order, each once.
 * Every publish has the key `SESSIONID:N`; until it is answered it is sent again, by whatever way
 * there is, under the same key, and the hub acts on each key once. Knows no ladder and no channel.
 */
import { newNonce, TriwayError } from './frame.js'

/** Characters waiting: a page that is cut off must not grow without end. */
const QUEUE_SIZE = 8 * 1024 * 1024
/** What a command counts beside its characters: a thousand fill the queue, more than any burst of a page. */
const COMMAND_SIZE = QUEUE_SIZE / 1000
/** Characters in one POST: an answer lost on the way costs one batch. */
const BATCH_SIZE = 256 * 1024
/** First and longest pause after a request that failed, in ms. */
const RETRY_FIRST_MS = 250
const RETRY_MOST_MS = 5000
/** After so many failures in a row POST counts as blocked, and a GET is given up. */
const FAILURES_MOST = 2
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
 * @typedef {{ok?: any, id?: string, reached?: any, error?: any}} Reply
 * @typedef {(json: string, onReply: (reply: any) => any) => void} Socket
 */

/** @typedef {ReturnType<typeof newSending>} Sending */

const blocked = () => new TriwayError('post_blocked', { hint: 'POST is blocked, and a GET has too little room' })

/**
 * @param {{transport: import('./cuts.js').Transport | null}} hub named in refusals
 * @param {boolean} isShared by tabs: who reads for all may change before it has answered, and a key must be the same for all
 * @param {import('./ask.js').Asking} asking
 * @param {(fact: 'reopen' | 'blocked') => void} look
 */
export function newSending(hub, isShared, { at, ask }, look) {
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
  let batchMost = BATCH_SIZE
  /** So many, the first of the queue, are on their way. */
  let sent = 0
  let failures = 0
  /** Why nothing more is sent. @type {TriwayError | undefined} */
  let refused
  /** Grows whenever all that has no answer is to be sent again: what an earlier round is answered is no word. */
  let round = 0
  /** @type {any} */
  let pause

  /** @param {string} encoded @param {AbortSignal} [signal] @param {any} [key] @returns {Promise<any>} */
  const add = (encoded, signal, key = isShared && newNonce()) =>
    new Promise((fulfil, refuse) => {
      signal?.throwIfAborted()
      if (refused) throw refused
      if (queue.reduce((size, entry) => size + entry.encoded.length + COMMAND_SIZE, 0) >= QUEUE_SIZE) throw new TriwayError('queue_full')
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

  /** Sends what is not on its way: on a WS at once, by requests when the last one was answered. */
  async function pump() {
    if (pause || !way || (sent && way === true)) return
    let size = 0
    const batch = queue.slice(sent).filter(({ encoded }, index) => !index || (!byGet && (size += encoded.length) < batchMost))
    if (!batch.length) return
    const mine = round
    const texts = batch.map((entry, index) => {
      entry.isSent = true
      return `{"key":"${entry.key || session + ':' + (first + sent + index)}",${entry.encoded.slice(1)}`
    })
    sent += texts.length
    const replies = await send(texts).catch((error) => {
      if (error.status !== 413 || texts.length < 2) return [{ error }]
      batchMost = size / 2
      return []
    })
    if (mine !== round) return
    sent -= texts.length
    for (const reply of replies) if (!settle(reply)) return
    pump()
  }

  /** @param {string[]} texts @returns {Promise<Reply[]>} */
  async function send(texts) {
    if (typeof way === 'function') return Promise.all(texts.map((text) => new Promise((resolve) => /** @type {Socket} */ (way)(text, resolve))))
    if (byGet) return [await get(texts[0])]
    const replies = await ask('send', {}, `[${texts}]`)
    return replies[0] ? replies : [{}]
  }

  /** One publish as an address. Boxes differ in how long a one they take: a longer one is proven by what may be lost. @param {string} text */
  async function get(text) {
    const { key, channel, name, data, data64 } = JSON.parse(text)
    const path = 'pub/' + encodeURIComponent(channel)
    const more = { key, name, data: JSON.stringify(data) }
    const { length } = at(path, more)
    if (data64 != null || length > ADDRESS_MOST) throw blocked()
    if (length > addressMost) await ask('healthz', { pad: '.'.repeat(length) })
    addressMost = Math.max(addressMost, length)
    const answer = await ask(path, more)
    return { ok: answer.id, ...answer }
  }

  /**
   * @param {Reply} reply to the first of the queue; what has neither word was made by somebody else
   * @returns {boolean} whether it is done with
   */
  function settle({ ok, id, reached, error = { foreign: true } }) {
    const { code, name, status, hint, expected, foreign, afterMs } = error
    // Our JSON is good: what the hub calls bad was spoiled on the way.
    const isOurs = hint && code !== 'bad_json'
    // The hub counts otherwise (a key was used up by a refusal on the way): go on as it counts.
    if (expected) first = expected
    else if (code === 'session_expired') look('reopen')
    else if (ok || status === 413 || (isOurs && status !== 429 && status !== 503)) {
      const { fulfil, refuse } = /** @type {Entry} */ (queue.shift())
      first++
      failures = 0
      if (ok) fulfil({ id, reached })
      else refuse(new TriwayError(code, { ...error, transport: hub.transport }))
      return true
    } else if (!isOurs && (failures >= FAILURES_MOST || (!byGet && (foreign || /Abort|Timeout/.test(name))))) {
      if (byGet) return settle({ error: blocked() })
      byGet = true
      failures = 0
      look('blocked')
    }
    again(afterMs || Math.min(RETRY_FIRST_MS * 2 ** failures++, RETRY_MOST_MS))
    return false
  }

  /** Nothing more is sent. @param {TriwayError} error */
  function close(error) {
    refused = error
    by()
    for (const { refuse } of queue.splice(0)) refuse(error)
  }

  return { add, by, close }
}
