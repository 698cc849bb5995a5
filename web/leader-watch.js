/** Watches the tab that leads, from a tab that follows it. A silent leader is asked first, then replaced. */

/** A leader that is silent for this time, in ms, is asked; if it stays silent for as long again, it is replaced. */
const SILENT_MS = 5000
/** Followers that replace a leader wait a random part of this, in ms, so that one of them does it. */
const APART_MS = 1000

export class LeaderWatch {
  #ask
  #replace
  #isAlive = true
  #isAsked = false
  /** @type {any} */
  #timer

  /**
   * @param {object} context
   * @param {() => void} context.ask sends what a leader answers
   * @param {() => void} context.replace the leader is gone
   */
  constructor({ ask, replace }) {
    this.#ask = ask
    this.#replace = replace
  }

  start() {
    this.stop()
    this.#isAlive = true
    this.#timer = setInterval(() => this.#check(), SILENT_MS)
  }

  stop() {
    clearInterval(this.#timer)
  }

  /** The leader sent something. */
  onMessage() {
    this.#isAlive = true
  }

  #check() {
    if (this.#isAlive) this.#isAlive = this.#isAsked = false
    else if (!this.#isAsked) {
      this.#isAsked = true
      this.#ask()
    } else {
      setTimeout(() => {
        if (!this.#isAlive) this.#replace()
      }, APART_MS * Math.random())
    }
  }
}
