/**
 * Reads what came before, page by page, for the handles of one channel that want it; what is live waits
 * meanwhile. It goes on from the last page where a connection was cut, and its size of pages follows the
 * network, so that publishes pass between two of them.
 */
import { foreign, framesOf } from './frame.js'
import { membersOf } from './json.js'

/** Bytes of data of the first page, of the smallest, and of the largest: the hub's bound. */
const PAGE_FIRST = 16 * 1024
const PAGE_LEAST = 2 * 1024
const PAGE_MOST = 1024 * 1024
/** Pages that take less time, in ms, are followed by one of twice the size; above, of half. */
const PAGE_QUICK_MS = 300
const PAGE_SLOW_MS = 1000
/** Pause before a failed page is requested again, in ms. */
const AGAIN_MS = 1000
/** Live events that wait: beyond them they are read as history. */
const WAITING_EVENTS = 1000

/** Bytes of the next page, for all histories of one hub. */
export class PageSize {
  bytes = PAGE_FIRST

  /** Small pages are for what gets nothing else through: where they come, larger ones are tried. @param {number} tookMs `Infinity` where it failed */
  adapt(tookMs) {
    if (tookMs < (this.bytes < PAGE_FIRST ? PAGE_SLOW_MS : PAGE_QUICK_MS)) this.bytes = Math.min(PAGE_MOST, this.bytes * 2)
    else if (tookMs > PAGE_SLOW_MS) this.bytes = Math.max(tookMs < Infinity ? Math.min(this.bytes, PAGE_FIRST) : PAGE_LEAST, this.bytes >> 1)
  }
}

/**
 * @typedef {object} Sink
 * @property {(frame: import('./frame.js').Frame, via: import('./cuts.js').Transport | null) => void} take
 * @property {() => void} done everything up to now was taken
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
  /** Up to where each was read. @type {Map<string, string>} */
  #places

  /**
   * @param {string[]} names real ones, read one after the other
   * @param {string} since where to begin
   * @param {import('./subscription.js').Context} context
   * @param {Sink} sink
   * @param {Map<string, string>} [places] where an earlier one stopped, which this one goes on from
   */
  constructor(names, since, context, sink, places = new Map()) {
    this.#context = context
    this.#sink = sink
    this.#places = places
    this.since = since
    this.#run(names)
  }

  /** Where it is to go on, if it is begun again. */
  get places() {
    return this.#places
  }

  /** A live event waits for what came before it. @param {import('./frame.js').Frame} frame */
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
      // What is live and was dropped is in the next pages, of whichever name it is.
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
    for (const frame of this.#waiting) this.#sink.take(frame, via())
    this.#sink.done()
  }

  /** @param {string} name */
  async #read(name) {
    for (let more = true; more && !this.#isStopped; ) {
      const page = await this.#page(name, this.#places.get(name) ?? this.since)
      if (!page || this.#isStopped) continue
      more = page.more
      const { via } = this.#context
      for (const frame of page.frames) this.#sink.take(frame, via())
      this.#places.set(name, page.cursor)
    }
  }

  /** One page, or nothing where it has to be asked for again. @param {string} name @param {string} since */
  async #page(name, since) {
    const { pageSize, history } = this.#context
    const askedAt = Date.now()
    try {
      const { cursor, more, ...answer } = membersOf(await history(name, since, pageSize.bytes))
      if (!cursor) throw foreign()
      const page = { frames: framesOf(answer), cursor: JSON.parse(cursor), more: more === 'true' }
      pageSize.adapt(Date.now() - askedAt)
      return page
    } catch (/** @type {any} */ error) {
      if (error.kind === 'final') throw error
      pageSize.adapt(Infinity)
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined)
        this.#timer = setTimeout(resolve, AGAIN_MS)
      })
    }
  }
}
