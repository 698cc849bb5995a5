/**
 * A tab that finds no connection to the hub, because streams of other tabs hold all that the browser has,
 * asks these over a BroadcastChannel, which plain http has, too. It is part of the first load: a starved tab
 * loads nothing more. It reports `starved`; the ladder decides.
 */

/** @typedef {import('./cuts.js').Transport} Transport */

/** A tab without an answer to anything for so long, in ms, asks; and then again each time. */
const SILENT_MS = 2000
/** Where tabs can share, connections are about to be free: only a second request within this, in ms, counts. */
const AGAIN_MS = 10_000

export class Starved {
  /** @type {BroadcastChannel | undefined} */
  #wire
  /** @type {any} */
  #timer
  /** When another tab asked last, in ms since 1970. */
  #askedAt = 0
  #base
  #isReading
  #starve

  /**
   * @param {object} context
   * @param {string} context.base address of the hub
   * @param {AbortSignal} context.signal ends it
   * @param {() => boolean} context.isReading a transport carries in this tab
   * @param {() => void} context.starve another tab finds no connection
   */
  constructor({ base, signal, isReading, starve }) {
    this.#base = base
    this.#isReading = isReading
    this.#starve = starve
    signal.addEventListener('abort', () => {
      this.answered()
      this.#wire?.close()
    })
  }

  /** An attempt begins, by one of the connections that are few, or not. @param {Transport} transport */
  opens(transport) {
    if (transport === 'ws' || !globalThis.BroadcastChannel || !globalThis.location) return
    this.#wire ??= this.#listen()
    if (!this.#isReading()) this.#timer ??= setInterval(() => this.#ask(), SILENT_MS)
  }

  /** Something answered: there are connections. */
  answered() {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #ask() {
    if (this.#isReading()) this.answered()
    else this.#wire?.postMessage('starved')
  }

  #listen() {
    const wire = new BroadcastChannel('triway starved ' + this.#base)
    wire.onmessage = () => {
      const isFirst = Date.now() > this.#askedAt + AGAIN_MS
      this.#askedAt = Date.now()
      if (!isFirst || !globalThis.navigator?.locks) this.#starve()
    }
    return wire
  }
}
