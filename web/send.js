/**
 * The queue of what is to be published: bounded, in order, each once.
 * Every publish has the key `SESSIONID:N`; until it is answered it is sent again, by whatever way
 * there is, under the same key, and the hub acts on each key once. Knows no ladder and no channel.
 */
import { query } from './attach.js'
import { bytesOf, nextRef, toBase64, TriwayError } from './frame.js'

/** Publishes waiting for their answers: more than any burst of a page, and a bound for its memory. */
const QUEUE_COMMANDS = 1000
/** Characters and bytes waiting: a page that is cut off must not grow without end. */
const QUEUE_BYTES = 8 * 1024 * 1024
/** Commands in one POST, and their characters: an answer lost on the way costs one batch. */
const BATCH_COMMANDS = 100
const BATCH_BYTES = 256 * 1024
/** First and longest pause after a POST that failed, in ms. */
const RETRY_FIRST_MS = 250
const RETRY_MOST_MS = 5000
/** A command without an answer for so long, in ms, hangs. */
const ANSWER_MOST_MS = 5000
/** Failures in a row after which POST counts as blocked, and those after which a GET is given up. */
const POSTS_MOST = 2
const GETS_MOST = 2
/** Longest address that the hub takes for a publish, in characters. */
const ADDRESS_MOST = 4096

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

export class Sending {
  /** @type {Entry[]} */
  #queue = []
  #bytes = 0
  #session = ''
  /** N of the newest key given. */
  #number = 0
  /** @type {Socket | undefined} */
  #socket
  #byHttp = false
  /** POST is blocked: one at a time by GET. */
  #byGet = false
  #asking = false
  #batch = BATCH_COMMANDS
  #failures = 0
  /** @type {any} */
  #pause
  /** @type {any} */
  #watch
  #ask
  #tell

  /**
   * @param {(path: string, query?: string, init?: RequestInit) => Promise<any>} ask the hub, as this session
   * @param {(what: 'expired' | 'blocked' | 'mute') => void} tell
   */
  constructor(ask, tell) {
    this.#ask = ask
    this.#tell = tell
  }

  /**
   * @param {Record<string, any>} command without key
   * @param {any} data
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  push(command, data, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const bytes = bytesOf(data)
      const json = bytes ? '' : (JSON.stringify(data) ?? 'null')
      const size = bytes ? bytes.length : json.length
      if (this.#queue.length >= QUEUE_COMMANDS || (this.#bytes && this.#bytes + size > QUEUE_BYTES)) throw new TriwayError('queue_full')
      /** @type {Entry} */
      const entry = { command, json, bytes, size, resolve, reject }
      this.#queue.push(entry)
      this.#bytes += size
      signal?.addEventListener('abort', () => {
        // What was sent may have acted: it stays, to be answered, so that no key is ever skipped.
        if (!entry.number) this.#remove(entry)
        reject(signal.reason)
      })
      this.#pump()
    })
  }

  /** @param {Entry} entry */
  #remove(entry) {
    const at = this.#queue.indexOf(entry)
    if (at >= 0) this.#bytes -= this.#queue.splice(at, 1)[0].size
  }

  /** @param {number} first */
  #renumber(first) {
    for (const entry of this.#queue) if (entry.number) entry.number = first++
    this.#number = first - 1
  }

  /**
   * From now on by this way; all that has no answer is sent again.
   * @param {string} [session] whose keys are used; a new one begins its own count
   * @param {Socket} [socket]
   * @param {boolean} [byHttp]
   */
  by(session = '', socket, byHttp = false) {
    if (session !== this.#session) this.#renumber(1)
    this.#session = session
    this.#socket = socket
    this.#byHttp = byHttp
    this.#byGet = false
    this.#failures = 0
    clearTimeout(this.#watch)
    this.#watch = undefined
    this.#again(0)
  }

  /** @param {number} pauseMs */
  #again(pauseMs) {
    for (const entry of this.#queue) entry.ref = 0
    clearTimeout(this.#pause)
    this.#pause = pauseMs && setTimeout(() => this.#again(0), pauseMs)
    this.#pump()
  }

  /** The command with its key, as JSON; the data is spliced in, not encoded again. @param {Entry} entry @param {number} [ref] */
  #text(entry, ref) {
    entry.number ??= ++this.#number
    const data64 = ref || !entry.bytes ? undefined : toBase64(entry.bytes)
    const text = JSON.stringify({ key: `${this.#session}:${entry.number}`, ...entry.command, ref, data64 })
    return entry.json ? `${text.slice(0, -1)},"data":${entry.json}}` : text
  }

  #pump() {
    if (this.#pause) return
    if (this.#socket) for (const entry of this.#queue) if (!entry.ref) this.#write(entry, this.#socket)
    if (this.#byHttp && !this.#asking && this.#queue.length) this.#request()
  }

  /** @param {Entry} entry @param {Socket} socket */
  #write(entry, socket) {
    const text = this.#text(entry, (entry.ref = nextRef()))
    this.#watch ??= setTimeout(() => this.#tell('mute'), ANSWER_MOST_MS)
    if (!entry.bytes) return socket(text)
    const head = new TextEncoder().encode(text + '\n')
    const message = new Uint8Array(head.length + entry.size)
    message.set(head)
    message.set(entry.bytes, head.length)
    socket(message)
  }

  /** An answer from the WS that is the way now. @param {import('./frame.js').Frame} frame */
  reply(frame) {
    clearTimeout(this.#watch)
    this.#watch = undefined
    const entry = this.#queue.find(({ ref }) => ref && ref === frame.ref)
    if (entry) this.#settle(entry, frame)
    if (this.#socket && this.#queue[0]?.ref) this.#watch = setTimeout(() => this.#tell('mute'), ANSWER_MOST_MS)
  }

  /**
   * @param {Entry} entry
   * @param {import('./frame.js').Frame} frame
   * @returns {boolean} whether what follows it was acted on
   */
  #settle(entry, { ok, error, ref, type, ...result }) {
    if (!ok && this.#mayRetry(error ?? { code: 'failed' })) return false
    this.#remove(entry)
    if (ok) entry.resolve(result)
    else entry.reject(new TriwayError(error?.code ?? 'failed', error))
    return true
  }

  /** @param {import('./frame.js').Problem & {afterMs?: number}} problem @returns {boolean} whether all is sent again, later */
  #mayRetry({ code, status, expected, afterMs }) {
    // The hub counts otherwise (a key was used up by a refusal on the way): go on as it counts.
    if (expected) this.#renumber(expected)
    else if (code === 'session_expired') this.#tell('expired')
    else if (status !== 429 && status !== 503) return false
    this.#again(afterMs || Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_MOST_MS))
    return true
  }

  async #request() {
    this.#asking = true
    let size = 0
    const [first] = this.#queue
    const byGet = this.#byGet && this.#query(first)
    const batch = this.#queue.slice(0, this.#byGet ? 1 : this.#batch).filter((entry) => (size += entry.size) <= BATCH_BYTES || entry === first)
    const signal = AbortSignal.timeout(ANSWER_MOST_MS)
    try {
      const replies = byGet
        ? [{ ok: true, ...(await this.#ask(`pub/${encodeURIComponent(first.command.channel)}`, byGet, { signal })) }]
        : await this.#ask('send', '', { method: 'POST', body: `[${batch.map((entry) => this.#text(entry))}]`, signal })
      this.#failures = 0
      this.#batch = BATCH_COMMANDS
      batch.every((entry, index) => replies[index] && this.#settle(entry, replies[index]))
    } catch (error) {
      this.#refused(batch, /** @type {TriwayError} */ (error), signal.aborted)
    }
    this.#asking = false
    this.#pump()
  }

  /** One publish as the query of a GET, if it fits. @param {Entry} entry */
  #query(entry) {
    const { type, channel, data, ...rest } = JSON.parse(this.#text(entry))
    const text = query({ ...rest, data: entry.json })
    return entry.bytes || text.length > ADDRESS_MOST ? '' : text
  }

  /** @param {Entry[]} batch @param {TriwayError} error @param {boolean} hung */
  #refused(batch, error, hung) {
    const [first] = batch
    const { status, hint, foreign } = error
    if (status === 413 && batch.length > 1) this.#batch = Math.ceil(batch.length / 2)
    else if (hint ? !this.#mayRetry(/** @type {any} */ (error)) : status === 413) this.#settle(first, { type: '', error: /** @type {any} */ (error) })
    else if (!hint) {
      this.#mayRetry({ code: '', status: 503 })
      if (this.#byGet) {
        if (this.#failures > GETS_MOST) this.#settle(first, { type: '', error: { code: 'post_blocked', hint: 'only GET gets through here, and this does not fit an address' } })
      } else if (hung || foreign || this.#failures >= POSTS_MOST) {
        this.#byGet = true
        this.#failures = 0
        this.#tell('blocked')
      }
    }
  }

  /** Nothing more is sent. @param {TriwayError} error */
  close(error) {
    this.by()
    for (const entry of this.#queue.splice(0)) entry.reject(error)
  }
}
