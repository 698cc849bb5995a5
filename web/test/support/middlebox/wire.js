/**
 * One socket with a distance: what is written leaves later, what comes is told later, in order.
 * Knows no HTTP.
 */

export class Wire {
  /** @type {(bytes: Buffer) => void} */
  onData = () => {}
  /** Ended or broken; told once. */
  onEnd = () => {}
  #socket
  #delayMs
  #hasEnded = false
  /** Until when what comes is still on its way through the handshake. */
  #openAt

  /**
   * @param {import('node:net').Socket} socket
   * @param {number} [delayMs] each way, in ms
   * @param {boolean} [isAccepted] a handshake took one round trip more, which loopback did not
   */
  constructor(socket, delayMs = 0, isAccepted = false) {
    this.#socket = socket
    this.#delayMs = delayMs
    this.#openAt = isAccepted && delayMs ? Date.now() + 2 * delayMs : 0
    socket.setNoDelay(true)
    const end = () => this.#later(() => this.#end(), this.#comingMs())
    socket.on('data', (bytes) => this.#later(() => this.#hasEnded || this.onData(bytes), this.#comingMs()))
    socket.on('end', end).on('close', end)
    // A reset is an end like any other here; `close` follows.
    socket.on('error', () => {})
  }

  /** What comes later is never told earlier: the moment of arrival only ever grows. */
  #comingMs() {
    const now = Date.now()
    return Math.max(this.#delayMs, this.#openAt + this.#delayMs - now)
  }

  /** @param {() => void} action @param {number} [afterMs] */
  #later(action, afterMs = this.#delayMs) {
    if (afterMs) setTimeout(action, afterMs)
    else action()
  }

  #end() {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.onEnd()
  }

  get isOpen() {
    return !this.#hasEnded && !this.#socket.destroyed
  }

  /** @param {Buffer} bytes */
  write(bytes) {
    this.#later(() => this.#socket.writable && this.#socket.write(bytes))
  }

  /** Ends it as a program does that is done: all that was written arrives. */
  end() {
    this.#later(() => {
      this.#socket.end()
      this.#end()
    })
  }

  /** Ends it as a box does that has had enough. */
  reset() {
    this.#later(() => {
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
