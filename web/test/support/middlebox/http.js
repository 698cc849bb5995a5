/**
 * Just enough HTTP/1.1 for a relay: splits a stream of bytes into heads and bodies, and writes heads and chunks.
 * Knows no socket and no behaviour. It throws on input that it does not understand.
 */

/** The longest head, in bytes: twice the limit of common servers, so that the hub refuses first. */
const HEAD_MOST = 64 * 1024

/**
 * @typedef {object} Head
 * @property {string} start the request or status line
 * @property {[string, string][]} headers
 */

/** @param {Head} head @param {string} name in lower case */
export const headerOf = (head, name) => head.headers.find(([key]) => key.toLowerCase() === name)?.[1]

/** @param {Head} head @param {...string} names in lower case */
export const without = (head, ...names) => ({ ...head, headers: head.headers.filter(([key]) => !names.includes(key.toLowerCase())) })

/** @param {Head} head */
export const headBytes = ({ start, headers }) => Buffer.from([start, ...headers.map(([key, value]) => `${key}: ${value}`), '', ''].join('\r\n'), 'latin1')

/** @param {Buffer} bytes */
export const chunkOf = (bytes) => Buffer.concat([Buffer.from(bytes.length.toString(16) + '\r\n'), bytes, Buffer.from('\r\n')])

export const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/** Returns a complete response of the middlebox itself. @param {number} status @param {string} body @param {[string, string][]} [more] */
export const answerBytes = (status, body, more = []) =>
  Buffer.concat([
    headBytes({
      start: `HTTP/1.1 ${status} ${REASONS[status] ?? 'Refused'}`,
      headers: [['Content-Type', 'text/html'], ['Content-Length', String(Buffer.byteLength(body))], ['Connection', 'close'], ...more],
    }),
    Buffer.from(body),
  ])

/** @type {Record<number, string>} */
const REASONS = { 200: 'OK', 302: 'Found', 400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 413: 'Content Too Large', 426: 'Upgrade Required', 502: 'Bad Gateway', 504: 'Gateway Timeout', 511: 'Network Authentication Required' }

/** @param {Buffer} bytes @returns {Head} */
function parseHead(bytes) {
  const [start, ...lines] = bytes.toString('latin1').split('\r\n')
  return {
    start,
    headers: lines.map((line) => {
      const colon = line.indexOf(':')
      if (colon < 1) throw new Error(`not a header: ${line}`)
      return [line.slice(0, colon), line.slice(colon + 1).trim()]
    }),
  }
}

/** @typedef {'none' | 'length' | 'chunked' | 'close' | 'raw'} Framing */

/** One direction of a connection, split into messages. */
export class Messages {
  /** @type {Buffer} */
  #rest = Buffer.alloc(0)
  /** @type {'head' | 'body' | 'size' | 'chunk' | 'border' | 'trailer' | 'raw'} */
  #state = 'head'
  #left = 0
  #onHead
  #onData
  #onEnd

  /**
   * @param {(head: Head) => Framing} onHead returns how the body is framed (`framingOf`, or a better value)
   * @param {(bytes: Buffer) => void} onData of the body, without its chunk framing
   * @param {() => void} onEnd of one message
   */
  constructor(onHead, onData, onEnd) {
    this.#onHead = onHead
    this.#onData = onData
    this.#onEnd = onEnd
  }

  /** @param {Buffer} bytes */
  push(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes])
    while (this.#rest.length && this.#step());
  }

  /** Ends the input. A body without a length is now complete. */
  close() {
    if (this.#state === 'body' && this.#left === Infinity) this.#end()
  }

  /** @param {number} count */
  #take(count) {
    const taken = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return taken
  }

  /** @returns {Buffer | undefined} the line without its end, once it is there */
  #line() {
    const end = this.#rest.indexOf('\r\n')
    if (end < 0) return
    const line = this.#take(end)
    this.#take(2)
    return line
  }

  #end() {
    this.#state = 'head'
    this.#onEnd()
  }

  /** @returns {boolean} whether it got further */
  #step() {
    if (this.#state === 'raw') return this.#onData(this.#take(this.#rest.length)), true
    if (this.#state === 'head') return this.#head()
    if (this.#state === 'body' || this.#state === 'chunk') {
      const taken = this.#take(Math.min(this.#left, this.#rest.length))
      this.#left -= taken.length
      this.#onData(taken)
      if (!this.#left) this.#state === 'chunk' ? (this.#state = 'border') : this.#end()
      return true
    }
    const line = this.#line()
    if (!line) return false
    if (this.#state === 'border') this.#state = 'size'
    else if (this.#state === 'size') {
      this.#left = parseInt(line.toString('latin1'), 16)
      if (Number.isNaN(this.#left)) throw new Error('not the size of a chunk')
      this.#state = this.#left ? 'chunk' : 'trailer'
    } else if (!line.length) this.#end()
    return true
  }

  #head() {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0) {
      if (this.#rest.length > HEAD_MOST) throw new Error('the head is too long')
      return false
    }
    const head = parseHead(this.#take(end))
    this.#take(4)
    const framing = this.#onHead(head)
    this.#left = framing === 'length' ? Number(headerOf(head, 'content-length')) : framing === 'close' ? Infinity : 0
    if (framing === 'raw') this.#state = 'raw'
    else if (framing === 'chunked') this.#state = 'size'
    else if (this.#left) this.#state = 'body'
    else this.#end()
    return true
  }
}

/** @param {Head} head @param {Framing} otherwise @returns {Framing} */
export function framingOf(head, otherwise) {
  if (/chunked/i.test(headerOf(head, 'transfer-encoding') ?? '')) return 'chunked'
  return headerOf(head, 'content-length') == null ? otherwise : 'length'
}
