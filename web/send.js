/**
 * The queue of what is to be published: bounded, in order, each once.
 * Every publish has the key `SESSIONID:N`; until it is answered it is sent again, by whatever way
 * there is, under the same key, and the hub acts on each key once. Knows no ladder and no channel.
 */
import { bytesOf, nextRef, refusal, toBase64, TriwayError } from './frame.js'

/** Publishes waiting for their answers: more than any burst of a page, and a bound for its memory. */
const QUEUE_COMMANDS = 1000
/** Characters and bytes waiting: a page that is cut off must not grow without end. */
const QUEUE_BYTES = 8 * 1024 * 1024
/** Commands in one POST, and their size: an answer lost on the way costs one batch. */
const BATCH_COMMANDS = 100
const BATCH_BYTES = 256 * 1024
/** First and longest pause after a POST that failed, in ms. */
const RETRY_FIRST_MS = 250
const RETRY_MOST_MS = 5000

/**
 * @typedef {object} Entry
 * @property {Record<string, any>} command
 * @property {string} json the data as it was when it was published; empty for bytes
 * @property {Uint8Array} [bytes]
 * @property {number} size
 * @property {number} [number] N of its key, given when it is first sent
 * @property {number} [ref] of its latest sending on WS
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 */

/** @typedef {(message: string | Uint8Array<ArrayBuffer>) => void} Socket */
/** @typedef {(body: string) => Promise<import('./frame.js').Frame[]>} Post */

export class Sending {
  /** @type {Entry[]} */
  #queue = []
  #bytes = 0
  #session = ''
  /** N of the newest key given. */
  #number = 0
  /** @type {Socket | null} */
  #socket = null
  /** @type {Post | null} */
  #post = null
  #posting = false
  #batch = BATCH_COMMANDS
  #failures = 0
  /** @type {any} */
  #pause

  /** @param {() => void} onExpired the session key is no longer taken */
  constructor(onExpired) {
    this.onExpired_ = onExpired
  }

  /**
   * @param {Record<string, any>} command without key
   * @param {any} data
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  push_(command, data, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const bytes = bytesOf(data)
      const json = bytes ? '' : JSON.stringify(data)
      if (json === undefined) throw new TriwayError('bad_json', 'data is no JSON value')
      const size = bytes ? bytes.length : json.length
      if (this.#queue.length >= QUEUE_COMMANDS || (this.#queue.length && this.#bytes + size > QUEUE_BYTES)) {
        throw new TriwayError('queue_full', 'too much waits to be sent', { hint: 'await publish, or send less while the hub is away' })
      }
      const entry = { command, json, bytes, size, resolve, reject }
      this.#queue.push(entry)
      this.#bytes += size
      signal?.addEventListener('abort', () => this.#abandon(entry, signal.reason))
      this.#pump()
    })
  }

  /** @param {Entry} entry @param {any} reason */
  #abandon(entry, reason) {
    // What was sent may have acted: it stays, to be answered, so that no key is ever skipped.
    if (!entry.number) this.#remove(entry)
    entry.reject(reason)
  }

  /** @param {Entry} entry */
  #remove(entry) {
    const at = this.#queue.indexOf(entry)
    if (at < 0) return
    this.#queue.splice(at, 1)
    this.#bytes -= entry.size
  }

  /** The session whose keys are used. A new one begins its own count. @param {string} id */
  session_(id) {
    if (id === this.#session) return
    this.#session = id
    this.#renumber(1)
  }

  /** @param {number} first */
  #renumber(first) {
    for (const entry of this.#queue) if (entry.number) entry.number = first++
    this.#number = first - 1
  }

  /** From now on by this way; all that has no answer is sent again. @param {Socket | null} socket @param {Post | null} [post] */
  way_(socket, post = null) {
    this.#socket = socket
    this.#post = post
    this.#rewind(0)
  }

  /** @param {number} pauseMs */
  #rewind(pauseMs) {
    for (const entry of this.#queue) entry.ref = undefined
    clearTimeout(this.#pause)
    this.#pause = pauseMs ? setTimeout(() => this.#rewind(0), pauseMs) : 0
    this.#pump()
  }

  /** The command with its key, as JSON; what is in `json` is spliced in, not encoded again. @param {Entry} entry @param {object} more */
  #text(entry, more) {
    entry.number ??= ++this.#number
    const text = JSON.stringify({ ...entry.command, ...more, key: `${this.#session}:${entry.number}` })
    return entry.json ? `${text.slice(0, -1)},"data":${entry.json}}` : text
  }

  #pump() {
    if (this.#pause || !this.#session) return
    if (this.#socket) for (const entry of this.#queue) if (!entry.ref) this.#write(entry, this.#socket)
    if (this.#post && !this.#posting && this.#queue.length) this.#postBatch(this.#post)
  }

  /** @param {Entry} entry @param {Socket} socket */
  #write(entry, socket) {
    const json = this.#text(entry, { ref: (entry.ref = nextRef()) })
    if (!entry.bytes) return socket(json)
    const head = new TextEncoder().encode(json + '\n')
    const message = new Uint8Array(head.length + entry.bytes.length)
    message.set(head)
    message.set(entry.bytes, head.length)
    socket(message)
  }

  /** An answer from the WS that is the way now. @param {import('./frame.js').Frame} frame */
  reply_(frame) {
    const entry = this.#queue.find(({ ref }) => ref && ref === frame.ref)
    if (entry) this.#settle(entry, frame)
  }

  /**
   * @param {Entry} entry
   * @param {import('./frame.js').Frame} frame
   * @returns {boolean} whether what follows it was acted on
   */
  #settle(entry, { ok, error, ref, type, ...result }) {
    if (ok) {
      this.#failures = 0
      this.#remove(entry)
      entry.resolve(result)
      return true
    }
    const problem = error ?? { code: 'failed' }
    if (problem.code === 'key_out_of_order' && problem.expected) {
      // The hub counts otherwise (a key was used up by a refusal on the way): go on as it counts.
      this.#renumber(Number(String(problem.expected).split(':').pop()))
    } else if (problem.code === 'session_expired') {
      this.onExpired_()
    } else if (problem.status !== 429 && problem.status !== 503) {
      this.#remove(entry)
      entry.reject(refusal(problem))
      return true
    }
    this.#failed()
    return false
  }

  /** @param {number} [afterMs] as the hub asked */
  #failed(afterMs) {
    this.#rewind(afterMs ?? Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_MOST_MS))
  }

  /** @param {Post} post */
  async #postBatch(post) {
    this.#posting = true
    let size = 0
    const batch = this.#queue.slice(0, this.#batch).filter((entry, index) => (size += entry.size) <= BATCH_BYTES || !index)
    try {
      const replies = await post(`[${batch.map((entry) => this.#text(entry, { data64: entry.bytes && toBase64(entry.bytes) }))}]`)
      this.#posting = false
      this.#failures = 0
      if (batch.every((entry, index) => replies[index] && this.#settle(entry, replies[index]))) this.#batch = BATCH_COMMANDS
      else if (replies.length < batch.length) this.#failed()
    } catch (/** @type {any} */ error) {
      this.#posting = false
      this.#refused(batch, error)
    }
    this.#pump()
  }

  /** @param {Entry[]} batch @param {TriwayError} error */
  #refused(batch, error) {
    if (error.status === 413) {
      this.#batch = Math.ceil(batch.length / 2)
      if (batch.length === 1) {
        this.#remove(batch[0])
        batch[0].reject(error)
      }
      return
    }
    if (error.code === 'session_expired') this.onExpired_()
    this.#failed(error.retryAfterMs)
  }

  /** Nothing more is sent. @param {TriwayError} error */
  close_(error) {
    clearTimeout(this.#pause)
    this.#socket = this.#post = null
    for (const entry of this.#queue.splice(0)) entry.reject(error)
  }
}
