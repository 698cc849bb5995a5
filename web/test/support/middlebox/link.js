/**
 * One direction of a network link. All connections share its rate and one bounded queue. Connections that wait for
 * room in the queue take turns, one segment each. Knows no socket and no HTTP.
 */

/** Bytes that enter the queue at a time: the payload of one TCP segment. */
const SEGMENT_BYTES = 1400
/** If a connection has more than this waiting, its source must not be read. Below half of it, reading continues. */
const BACKLOG_BYTES = 16 * 1024

/** @typedef {{bytesPerSecond: number, queueBytes?: number}} LinkRule */
/** @typedef {{bytes: Buffer, leave: (bytes: Buffer) => void}} Piece */

export class Link {
  #bytesPerSecond = 0
  #queueBytes = Infinity
  #queuedBytes = 0
  #freeAt = 0
  /** @type {Piece[]} */
  #queue = []
  /** Connections whose bytes found no room. @type {Flow[]} */
  #waiting = []
  /** @type {any} */
  #timer

  /** Sets the rate and the queue. A rate of 0 is no limit. @param {LinkRule} rule */
  set({ bytesPerSecond, queueBytes = Infinity }) {
    this.#bytesPerSecond = bytesPerSecond
    this.#queueBytes = queueBytes
    this.run()
  }

  /** @param {(isFull: boolean) => void} [onFull] */
  flow(onFull = () => {}) {
    return new Flow(this, onFull)
  }

  /** Returns whether a connection that sends faster than the link must wait. */
  get isBounded() {
    return this.#bytesPerSecond > 0 && this.#queueBytes < Infinity
  }

  /** @param {Flow} flow */
  wait(flow) {
    this.#waiting.push(flow)
    this.run()
  }

  run() {
    while (this.#waiting.length && this.#queuedBytes < this.#queueBytes) {
      const flow = /** @type {Flow} */ (this.#waiting.shift())
      const piece = flow.take(this.#bytesPerSecond ? SEGMENT_BYTES : Infinity)
      if (!piece) continue
      this.#queue.push(piece)
      this.#queuedBytes += piece.bytes.length
      if (flow.hasMore) this.#waiting.push(flow)
      // Without a limit nothing is queued, but the order is still kept.
      if (!this.#bytesPerSecond && !this.#timer) this.#leave()
    }
    if (this.#timer || !this.#queue.length) return
    const now = Date.now()
    const { length } = this.#queue[0].bytes
    this.#freeAt = Math.max(now, this.#freeAt) + (this.#bytesPerSecond && (1000 * length) / this.#bytesPerSecond)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#leave()
      this.run()
    }, this.#freeAt - now)
  }

  #leave() {
    const { bytes, leave } = /** @type {Piece} */ (this.#queue.shift())
    this.#queuedBytes -= bytes.length
    leave(bytes)
  }
}

/** The bytes that one connection sends through the link, in order. */
class Flow {
  #link
  #onFull
  /** @type {Piece[]} */
  #backlog = []
  #backlogBytes = 0
  #isFull = false

  /** @param {Link} link @param {(isFull: boolean) => void} onFull */
  constructor(link, onFull) {
    this.#link = link
    this.#onFull = onFull
  }

  /** @param {Buffer} bytes @param {(bytes: Buffer) => void} leave called once for each segment; empty bytes keep their place too */
  push(bytes, leave) {
    this.#backlog.push({ bytes, leave })
    this.#backlogBytes += bytes.length
    if (this.#backlog.length === 1) this.#link.wait(this)
    this.#judge()
  }

  get hasMore() {
    return this.#backlog.length > 0
  }

  /** @param {number} most @returns {Piece | undefined} */
  take(most) {
    const first = this.#backlog[0]
    if (!first) return
    const bytes = first.bytes.subarray(0, most)
    first.bytes = first.bytes.subarray(bytes.length)
    this.#backlogBytes -= bytes.length
    if (!first.bytes.length) this.#backlog.shift()
    this.#judge()
    return { bytes, leave: first.leave }
  }

  /** Drops the waiting bytes of a connection that has ended. */
  drop() {
    this.#backlog = []
    this.#backlogBytes = 0
    this.#judge()
  }

  #judge() {
    const isFull = this.#link.isBounded && this.#backlogBytes > (this.#isFull ? BACKLOG_BYTES / 2 : BACKLOG_BYTES)
    if (isFull === this.#isFull) return
    this.#isFull = isFull
    this.#onFull(isFull)
  }
}
