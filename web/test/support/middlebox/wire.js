/**
 * One socket with a distance: what is written leaves later, what comes is told later, in order.
 * Knows no HTTP.
 */

/** What a whole network shares, in one direction. @typedef {{bytesPerSecond: number, freeAt: number}} Pipe */

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

export class Wire {
  /** @type {(bytes: Buffer) => void} */
  onData = () => {}
  /** Ended or broken; told once. */
  onEnd = () => {}
  #socket
  #delayMs
  #hasEnded = false
  /** Nothing goes through any more, and neither side is told. */
  #isDead = false
  /** Until when what comes is still on its way through the handshake. */
  #openAt
  /** Nothing goes through before this. */
  #stalledTo = 0
  #coming = new Line()
  #going = new Line()
  /** @type {Pipe | undefined} */
  #pipe

  /**
   * @param {import('node:net').Socket} socket
   * @param {number} [delayMs] each way, in ms
   * @param {boolean} [isAccepted] a handshake took one round trip more, which loopback did not
   * @param {Pipe} [pipe] that all which is written goes through
   */
  constructor(socket, delayMs = 0, isAccepted = false, pipe) {
    this.#socket = socket
    this.#delayMs = delayMs
    this.#pipe = pipe
    this.#openAt = isAccepted && delayMs ? Date.now() + 2 * delayMs : 0
    socket.setNoDelay(true)
    const end = () => this.#come(() => this.#isDead || this.#end())
    socket.on('data', (bytes) => this.#come(() => this.#hasEnded || this.#isDead || this.onData(bytes)))
    socket.on('end', end).on('close', end)
    // A reset is an end like any other here; `close` follows.
    socket.on('error', () => {})
  }

  /** @param {() => void} action */
  #come(action) {
    const now = Date.now()
    this.#coming.add(Math.max(now, this.#openAt, this.#stalledTo) + this.#delayMs, action)
  }

  /** @param {() => void} action @param {number} [bytes] */
  #go(action, bytes = 0) {
    const now = Date.now()
    let at = Math.max(now, this.#stalledTo) + this.#delayMs
    if (this.#pipe?.bytesPerSecond && bytes) at = this.#pipe.freeAt = Math.max(at, this.#pipe.freeAt) + (1000 * bytes) / this.#pipe.bytesPerSecond
    this.#going.add(at, () => this.#isDead || action())
  }

  #end() {
    if (this.#hasEnded) return
    this.#hasEnded = true
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
    this.#go(() => this.#socket.writable && this.#socket.write(bytes), bytes.length)
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

  /** Gone at once, with all that is on its way. */
  destroy() {
    this.#socket.destroy()
    this.#end()
  }
}
