/**
 * One socket with a distance: what is written leaves later, what comes is told later, in order.
 * Knows no HTTP.
 */

/** What a whole network shares: the link towards clients, and the one away from them. @typedef {{down: import('./link.js').Link, up: import('./link.js').Link}} Links */

/** Things to do, each not before its moment, and never before the one ahead of it. */
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
  /** Ended or broken; told once. */
  onEnd = () => {}
  /** The link is full, or has room again: whoever writes should stop, or may go on. @type {(isFull: boolean) => void} */
  onFull = () => {}
  #socket
  #delayMs
  #jitter
  #hasEnded = false
  /** Nothing goes through any more, and neither side is told. */
  #isDead = false
  /** Until when what comes is still on its way through the handshake. */
  #openAt
  /** Nothing goes through before this. */
  #stalledTo = 0
  #coming = new Line()
  #going = new Line()
  /** Through the link, where there is one. @type {ReturnType<import('./link.js').Link['flow']> | undefined} */
  #down
  /** @type {ReturnType<import('./link.js').Link['flow']> | undefined} */
  #up

  /**
   * @param {import('node:net').Socket} socket
   * @param {number} [delayMs] each way, in ms
   * @param {boolean} [isAccepted] a handshake took one round trip more, which loopback did not
   * @param {Links} [links] that all goes through which is written and read
   * @param {number} [jitter] share of the delay by which it varies, up and down
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
    // A reset is an end like any other here; `close` follows.
    socket.on('error', () => {})
  }

  /** One way, with its jitter, in ms. */
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

  /** From now on silent: as when a NAT forgets, or a phone leaves its cell. */
  deaden() {
    this.#isDead = true
  }

  /** Silent for so long, then all that was held comes at once. @param {number} ms */
  stall(ms) {
    this.#stalledTo = Date.now() + ms
  }

  /** @param {Buffer} bytes */
  write(bytes) {
    this.#go((piece) => this.#socket.writable && this.#socket.write(piece), bytes)
  }

  /** Ends it as a program does that is done: all that was written arrives. */
  end() {
    this.#go(() => {
      this.#socket.end()
      this.#end()
    })
  }

  /** Ends it as a box does that has had enough. */
  reset() {
    this.#go(() => {
      this.#socket.resetAndDestroy()
      this.#end()
    })
  }

  /** Nothing is read until `resume`. */
  pause() {
    this.#socket.pause()
  }

  resume() {
    this.#socket.resume()
  }

  /** Gone at once, with all that is on its way. */
  destroy() {
    this.#socket.destroy()
    this.#end()
  }
}
