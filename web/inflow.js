/**
 * Turns what is pushed (socket and EventSource callbacks, events for a loop) into what is pulled.
 * Knows nothing of what flows.
 */
import { foreign, parseFrame } from './frame.js'

/**
 * @template Item
 * @implements {AsyncIterable<Item>}
 */
export class Inflow {
  /** @internal @type {Item[]} */
  items = []
  /** @internal */
  wake = () => {}
  /** @internal @type {{error?: any} | undefined} */
  ending

  /** @param {Item} item */
  push(item) {
    this.items.push(item)
    this.wake()
  }

  /** Ends the flow after what is already in it. @param {any} [error] */
  end(error) {
    this.ending ??= { error }
    this.wake()
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      while (this.items.length) yield /** @type {Item} */ (this.items.shift())
      if (this.ending?.error) throw this.ending.error
      if (this.ending) return
      await new Promise((resolve) => (this.wake = () => resolve(0)))
    }
  }
}

/**
 * The frames of a WebSocket or an EventSource, which push alike.
 * @param {any} source
 * @param {AbortSignal} signal
 * @param {() => void} [opened]
 * @returns {AsyncGenerator<import('./frame.js').Frame>}
 */
export async function* pushed(source, signal, opened) {
  /** @type {Inflow<import('./frame.js').Frame>} */
  const inflow = new Inflow()
  const end = () => inflow.end()
  source.onopen = () => {
    opened?.()
    inflow.push({ type: 'head' })
  }
  source.onmessage = (/** @type {MessageEvent} */ { data }) => {
    try {
      inflow.push(parseFrame(data))
    } catch {
      inflow.end(foreign())
    }
  }
  // Neither tells a reason. An EventSource would come back by itself with its old address; a
  // WebSocket without a listener for `error` throws in Node.
  source.onclose = source.onerror = signal.onabort = end
  try {
    yield* inflow
  } finally {
    source.onmessage = null
    // A close with 1000 would say that this session left, and not only this attach. An EventSource
    // takes no notice of the number.
    source.close(4000)
  }
}
