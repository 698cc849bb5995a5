/**
 * A starved tab finds no free connection, because streams of other tabs hold all that the browser allows. It
 * asks those tabs over a BroadcastChannel, which exists on plain http, too. This is part of the first load,
 * since a starved tab cannot load anything else. It reports `starved`; the ladder decides.
 */

/** @typedef {import('./rungs.js').Transport} Transport */

/** A tab whose requests get no answer asks at this interval, in ms. */
const SILENT_MS = 2000
/** If tabs can share, connections will be free soon: only a second request within this time, in ms, counts. */
const REPEAT_MS = 10_000

export class StarvedTabs {
  /** @type {BroadcastChannel | undefined} */
  #broadcast
  /** @type {any} */
  #timer
  /** When another tab asked last, in ms since 1970. */
  #askedAt = 0
  #base
  #isReading
  #onStarvedTab

  /**
   * @param {object} context
   * @param {string} context.base address of the hub
   * @param {AbortSignal} context.signal ends it
   * @param {() => boolean} context.isReading a transport carries in this tab
   * @param {() => void} context.onStarvedTab another tab finds no free connection
   */
  constructor({ base, signal, isReading, onStarvedTab }) {
    this.#base = base
    this.#isReading = isReading
    this.#onStarvedTab = onStarvedTab
    signal.addEventListener('abort', () => {
      this.onAnswer()
      this.#broadcast?.close()
    })
  }

  /** An attempt begins. A WebSocket does not count among the connections that a browser limits. @param {Transport} transport */
  onOpen(transport) {
    if (transport === 'ws' || !globalThis.BroadcastChannel || !globalThis.location) return
    this.#broadcast ??= this.#listen()
    if (!this.#isReading()) this.#timer ??= setInterval(() => this.#askOtherTabs(), SILENT_MS)
  }

  /** Something was answered: connections are free. */
  onAnswer() {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #askOtherTabs() {
    if (this.#isReading()) this.onAnswer()
    else this.#broadcast?.postMessage('starved')
  }

  #listen() {
    const broadcast = new BroadcastChannel('triway starved ' + this.#base)
    broadcast.onmessage = () => {
      const isFirst = Date.now() > this.#askedAt + REPEAT_MS
      this.#askedAt = Date.now()
      if (!isFirst || !globalThis.navigator?.locks) this.#onStarvedTab()
    }
    return broadcast
  }
}
