/**
 * Lets only a limited number of connections through at a time; the others wait in order. A connection counts while
 * it has a request in flight. Knows no HTTP.
 */
export class Gate {
  #most = Infinity
  /** @type {Set<object>} */
  #inside = new Set()
  /** @type {{who: object, begin: () => void}[]} */
  #waiting = []

  /** @param {number} most */
  set(most) {
    this.#most = most
    this.#admit()
  }

  get waiting() {
    return this.#waiting.length
  }

  /** @param {object} who @param {() => void} begin called at once, or after another one has left */
  enter(who, begin) {
    this.#waiting.push({ who, begin })
    this.#admit()
  }

  /** @param {object} who is done, or gave up waiting */
  leave(who) {
    this.#inside.delete(who)
    this.#waiting = this.#waiting.filter((each) => each.who !== who)
    this.#admit()
  }

  #admit() {
    while (this.#waiting.length && this.#inside.size < this.#most) {
      const { who, begin } = /** @type {{who: object, begin: () => void}} */ (this.#waiting.shift())
      this.#inside.add(who)
      begin()
    }
  }
}
