/**
 * Turns what is pushed (socket and EventSource callbacks, events for a loop) into what is pulled.
 * Knows nothing of what flows.
 */

/**
 * @template Item
 * @implements {AsyncIterable<Item>}
 */
export class Inflow {
  /** @type {Item[]} */
  #items = []
  /** @type {(() => void) | undefined} */
  #wake
  #ended = false
  /** @type {any} */
  #error

  /** How much waits to be pulled. */
  get size() {
    return this.#items.length
  }

  /** @param {Item} item */
  push(item) {
    this.#items.push(item)
    this.#wake?.()
  }

  /** Ends the flow after what is already in it. @param {any} [error] */
  end(error) {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wake?.()
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      while (this.#items.length) yield /** @type {Item} */ (this.#items.shift())
      if (this.#ended) {
        if (this.#error) throw this.#error
        return
      }
      await new Promise((resolve) => (this.#wake = () => resolve(null)))
    }
  }
}
