/**
 * A socket with a delay: writes leave later and reads arrive later, in order. Knows no HTTP.
 */

/** The links that a whole network shares: towards clients and away from them. @typedef {{down: import('./link.js').Link, up: import('./link.js').Link}} Links */

/** Actions that run in order, none before its time. */
export class Line {
  /** @type {{at: number, action: () => void}[]} */
  #waiting = []
  /** @type {any} */
  #timer

  /** @param {number} at @param {() => void} action */
  add(at, action) {
    if (!this.#waiting.length && at <= Date.now()) return action()
    this.#waiting.push({ at, action })
    this.#timer ??= setTimeout(() => this.#due(), at - Date.now())
  }

  #due() {
    this.#timer = undefined
    while (this.#waiting.length && this.#waiting[0].at <= Date.now()) /** @type {any} */ (this.#waiting.shift()).action()
    if (this.#waiting.length && !this.#timer) this.#timer = setTimeout(() => this.#due(), this.#waiting[0].at - Date.now())
  }
}

const NOTHING = Buffer.alloc(0)

export class Wire {
  /** @type {(bytes: Buffer) => void} */
  onData = () => {}
  /** Called once when the socket has ended or broken. */
  onEnd = () => {}
  /** Called when the link is full or has room again: the writer should then stop or may continue. @type {(isFull: boolean) => void} */
  onFull = () => {}
  #socket
  #delayMs
  #jitter
  #hasEnded = false
  /** Nothing passes any more, and neither side learns of it. */
  #isDead = false
  /** Until then, incoming bytes are delayed by the handshake. */
  #openAt
  /** Nothing passes before this time. */
  #stalledTo = 0
  #coming = new Line()
  #going = new Line()
  /** The flow through the link, if there is one. @type {ReturnType<import('./link.js').Link['flow']> | undefined} */
  #down
  /** @type {ReturnType<import('./link.js').Link['flow']> | undefined} */
  #up

  /**
   * @param {import('node:net').Socket} socket
   * @param {number} [delayMs] in each direction, in ms
   * @param {boolean} [isAccepted] adds the round trip of a handshake, which loopback does not have
   * @param {Links} [links] for everything that is written and read
   * @param {number} [jitter] share of the delay by which it varies in both directions
   */
  constructor(socket, delayMs = 0, isAccepted = false, links, jitter = 0) {
    this.#socket = socket
    this.#delayMs = delayMs
    this.#jitter = jitter
    this.#down = links?.down.flow((isFull) => this.onFull(isFull))
    this.#up = links?.up.flow((isFull) => (isFull ? this.pause() : this.resume()))
    this.#openAt = isAccepted && delayMs ? Date.now() + 2 * delayMs : 0
    socket.setNoDelay(true)
    const end = () => this.#come(() => this.#isDead || this.#end())
    socket.on('data', (bytes) => this.#come((piece) => this.#hasEnded || this.#isDead || this.onData(piece), bytes))
    socket.on('end', end).on('close', end)
    // A reset is handled like any other end; `close` follows.
    socket.on('error', () => {})
  }

  /** Returns the delay of one direction with its jitter, in ms. */
  get #delay() {
    return this.#delayMs * (1 + this.#jitter * (2 * Math.random() - 1))
  }

  /** @param {(bytes: Buffer) => void} action @param {Buffer} [bytes] */
  #come(action, bytes = NOTHING) {
    const arrive = (/** @type {Buffer} */ piece) => this.#coming.add(Math.max(Date.now(), this.#openAt, this.#stalledTo) + this.#delay, () => action(piece))
    if (this.#up) this.#up.push(bytes, arrive)
    else arrive(bytes)
  }

  /** @param {(bytes: Buffer) => void} action @param {Buffer} [bytes] */
  #go(action, bytes = NOTHING) {
    const leave = (/** @type {Buffer} */ piece) => this.#going.add(Math.max(Date.now(), this.#stalledTo) + this.#delay, () => this.#isDead || action(piece))
    if (this.#down) this.#down.push(bytes, leave)
    else leave(bytes)
  }

  #end() {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#down?.drop()
    this.onEnd()
  }

  get isOpen() {
    return !this.#hasEnded && !this.#socket.destroyed
  }

  /** Makes the wire silent, as when a NAT forgets it or a phone leaves its cell. */
  deaden() {
    this.#isDead = true
  }

  /** Makes the wire silent for this time. Then everything that was held arrives at once. @param {number} ms */
  stall(ms) {
    this.#stalledTo = Date.now() + ms
  }

  /** @param {Buffer} bytes */
  write(bytes) {
    this.#go((piece) => this.#socket.writable && this.#socket.write(piece), bytes)
  }

  /** Ends it gracefully: everything that was written arrives. */
  end() {
    this.#go(() => {
      this.#socket.end()
      this.#end()
    })
  }

  /** Resets the connection. */
  reset() {
    this.#go(() => {
      this.#socket.resetAndDestroy()
      this.#end()
    })
  }

  /** Stops reading until `resume`. */
  pause() {
    this.#socket.pause()
  }

  resume() {
    this.#socket.resume()
  }

  /** Closes at once and drops everything in flight. */
  destroy() {
    this.#socket.destroy()
    this.#end()
  }
}
