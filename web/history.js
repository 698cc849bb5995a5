/**
 * Reads the history of one channel, page by page, for the handles that begin in the past; live events wait
 * until it is read. After a cut it continues from the last page. The size of pages follows the network, so
 * that publishes pass between two pages.
 */
import { foreign, framesOf } from './frame.js'
import { membersOf } from './json.js'

/** Bytes of data of the first page, of the smallest one, and of the largest one, which is the hub's bound. */
const PAGE_FIRST = 16 * 1024
const PAGE_MIN = 2 * 1024
const PAGE_MAX = 1024 * 1024
/** Pages that take less time, in ms, are followed by one of twice the size; above, of half. */
const PAGE_QUICK_MS = 300
const PAGE_SLOW_MS = 1000
/** Pause before a failed page is requested again, in ms. */
const RETRY_MS = 1000
/** Live events that wait; if there are more, they are read as history instead. */
const WAITING_EVENTS = 1000

/** Bytes of the next page, for all histories of one hub. */
export class PageSize {
  bytes = PAGE_FIRST

  /** Pages shrink when they are slow or fail, and grow when they are quick. Below the first size, any page that arrives in time lets them grow. @param {number} tookMs `Infinity` if it failed */
  adapt(tookMs) {
    if (tookMs < (this.bytes < PAGE_FIRST ? PAGE_SLOW_MS : PAGE_QUICK_MS)) this.bytes = Math.min(PAGE_MAX, this.bytes * 2)
    else if (tookMs > PAGE_SLOW_MS) this.bytes = Math.max(tookMs < Infinity ? Math.min(this.bytes, PAGE_FIRST) : PAGE_MIN, this.bytes >> 1)
  }
}

/**
 * @typedef {object} Sink
 * @property {(frame: import('./frame.js').Frame, via: import('./rungs.js').Transport | null) => void} receive
 * @property {() => void} done everything up to now was received
 * @property {(error: any) => void} refused
 */

export class History {
  /** @type {import('./frame.js').Frame[]} */
  #waiting = []
  #isOverfull = false
  #isStopped = false
  #context
  #sink
  /** @type {any} */
  #timer
  #wake = () => {}
  /** Up to where each name was read. @type {Map<string, string>} */
  #positions

  /**
   * @param {string[]} names real ones, read one after the other
   * @param {string} since where it begins
   * @param {import('./subscription.js').Context} context
   * @param {Sink} sink
   * @param {Map<string, string>} [positions] where an earlier history stopped, and this one continues
   */
  constructor(names, since, context, sink, positions = new Map()) {
    this.#context = context
    this.#sink = sink
    this.#positions = positions
    this.since = since
    this.#run(names)
  }

  /** Where another history continues. */
  get positions() {
    return this.#positions
  }

  /** A live event waits until the history is read. @param {import('./frame.js').Frame} frame */
  hold(frame) {
    if (this.#waiting.push(frame) <= WAITING_EVENTS) return
    this.#waiting = []
    this.#isOverfull = true
  }

  stop() {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#wake()
  }

  /** @param {string[]} names */
  async #run(names) {
    try {
      // Live events that were dropped are in the next pages.
      do {
        this.#isOverfull = false
        for (const name of names) await this.#read(name)
      } while (this.#isOverfull && !this.#isStopped)
    } catch (error) {
      if (!this.#isStopped) this.#sink.refused(error)
      return
    }
    if (this.#isStopped) return
    const { via } = this.#context
    for (const frame of this.#waiting) this.#sink.receive(frame, via())
    this.#sink.done()
  }

  /** @param {string} name */
  async #read(name) {
    for (let more = true; more && !this.#isStopped; ) {
      const page = await this.#page(name, this.#positions.get(name) ?? this.since)
      if (!page || this.#isStopped) continue
      more = page.more
      const { via } = this.#context
      for (const frame of page.frames) this.#sink.receive(frame, via())
      this.#positions.set(name, page.cursor)
    }
  }

  /** One page; nothing if it must be requested again. @param {string} name @param {string} since */
  async #page(name, since) {
    const { pageSize, history } = this.#context
    const requestedAt = Date.now()
    try {
      const { cursor, more, ...answer } = membersOf(await history(name, since, pageSize.bytes))
      if (!cursor) throw foreign()
      const page = { frames: framesOf(answer), cursor: JSON.parse(cursor), more: more === 'true' }
      pageSize.adapt(Date.now() - requestedAt)
      return page
    } catch (/** @type {any} */ error) {
      if (error.kind === 'final') throw error
      pageSize.adapt(Infinity)
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined)
        this.#timer = setTimeout(resolve, RETRY_MS)
      })
    }
  }
}
