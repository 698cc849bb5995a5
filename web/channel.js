/**
 * The application's handle of one channel: events out, publishes in. It belongs to the code that opened it.
 * Knows its subscription, and nothing of transports.
 */
import { encode, sizeBefore } from './data.js'
import { closed, lineOf, TriwayError } from './error.js'
import { atOrBelow, dataText } from './frame.js'
import { checkEventName, checkFunction, checkPublishOptions } from './options.js'

/** Events that wait for a `for await` loop: far beyond a history; a loop that is slower has stopped. */
const LOOP_EVENTS = 10_000

/**
 * An event target that knows its events by name.
 * @template Events
 * @typedef {{
 *   addEventListener<Type extends keyof Events>(type: Type, listener: (event: Event & Events[Type]) => void, options?: boolean | AddEventListenerOptions): void
 *   removeEventListener<Type extends keyof Events>(type: Type, listener: (event: Event & Events[Type]) => void, options?: boolean | EventListenerOptions): void
 * } & EventTarget} Target
 */

/**
 * @typedef {object} Received one event of a channel
 * @property {any} data an ArrayBuffer where bytes were published
 * @property {string} [text] the data as the JSON text that was published, where numbers are exact; absent for bytes
 * @property {string} name
 * @property {string} id
 * @property {string} [from]
 * @property {number} time ms since 1970, by the hub's clock
 * @property {string} channel
 * @property {import('./cuts.js').Transport} via the transport that brought it
 * @property {boolean} [late] it was left out on the way and read again: newer ones came before it
 *
 * @typedef {object} Member
 * @property {string} id
 * @property {string | null} user null where it has none
 * @property {any} info null where it has none
 * @property {number} [since] ms since 1970; absent in joins and leaves
 *
 * @typedef {object} Moved
 * @property {Member} member
 * @property {number} count
 * @property {number} time ms since 1970, by the hub's clock
 * @property {import('./cuts.js').Transport} via the transport that brought it
 *
 * @typedef {object} ChannelEventMap
 * @property {Received} message
 * @property {{after: string, reason: 'evicted' | 'expired' | 'restart' | 'unknown' | 'incomplete', id: string, channel: string}} gap before the next event: some were forgotten
 * @property {Moved} join
 * @property {Moved} leave
 * @property {{count: number, time: number, via: import('./cuts.js').Transport}} count instead of both, where there are many members
 * @property {{}} caughtup everything from `since` to now was delivered; what follows is live
 * @property {{error: TriwayError}} error the channel was refused, or the hub ended
 * @property {{error?: TriwayError}} close nothing of the channel comes after
 *
 * @typedef {{name?: string, signal?: AbortSignal}} PublishOptions
 * @typedef {{id: string, reached: {ws: number, sse: number, poll: number}}} Published
 */

/** An event of the hub, for the application. The text of its data is taken out when it is asked for. */
class MessageEvent extends Event {
  #json

  /** @param {object} facts that it has as properties @param {string | undefined} json of its frame */
  constructor(facts, json) {
    super('message')
    Object.assign(this, facts)
    this.#json = json
  }

  get text() {
    return this.#json === undefined ? undefined : dataText(this.#json)
  }
}

/** @param {EventTarget} target @param {string} type @param {object} [facts] that the event has as properties */
export const emit = (target, type, facts) => target.dispatchEvent(Object.assign(new Event(type), facts))

/** An event target that knows whether anybody listens for its end. */
export class Heard extends EventTarget {
  /** @internal */
  isHeard = false

  /** @param {string} type @param {any} listener @param {any} [options] @override */
  addEventListener(type, listener, options) {
    this.isHeard ||= /^(error|close)$/.test(type)
    super.addEventListener(type, listener, options)
  }
}

/** Where nobody listens for errors, the console says one, once. @param {any} target @param {TriwayError} error @param {string} [where] */
export function warn(target, error, where) {
  if (!target.isHeard) console.warn(lineOf(error, where))
  target.isHeard = true
}

/** An event target whose events are typed. @type {new () => Target<ChannelEventMap>} */
const ChannelTarget = /** @type {any} */ (Heard)

export class Channel extends ChannelTarget {
  /** Why it ended, where it was not closed by its owner. @type {TriwayError | undefined} */
  #error
  #isClosed = false
  #context
  /** The last id delivered, by the channel's real name; and the one before its first. @type {Map<string, string>} */
  #places = new Map()
  /** @type {Map<string, string>} */
  #origins = new Map()
  /** @internal Nothing of what came before is missing. */
  isCaughtUp = false

  /**
   * @internal
   * @param {string} name
   * @param {{since?: string, presence?: boolean}} options
   * @param {import('./subscription.js').Context} context
   * @param {string} wire the name under which it is read
   */
  constructor(name, { since, presence }, context, wire) {
    super()
    this.name = name
    /** @internal */
    this.wire = wire
    /** @internal Where it begins to read, until that was read. @type {string | undefined} */
    this.start = since === 'now' ? undefined : (since ?? undefined)
    /** @internal */
    this.presence = !!presence
    /** Whether what came before is still being read. */
    this.loading = false
    this.#context = context
  }

  /**
   * Publishes JSON, or bytes as ArrayBuffer, view, Blob or File. Resolves when the hub has the event.
   * @param {any} [data] null where it is left out
   * @param {PublishOptions} [options]
   * @returns {Promise<Published>}
   */
  async publish(data = null, options = {}) {
    checkPublishOptions(options)
    const { name, signal } = options
    if (this.#isClosed) throw this.#error ?? closed('channel')
    const named = name == null ? '' : `,"name":${JSON.stringify(name)}`
    return this.#context.publish({ channel: this.name, head: `"type":"publish","channel":${JSON.stringify(this.name)}${named}`, data: encode(data), sizeBefore: sizeBefore(data) }, signal)
  }

  /**
   * Calls `listener` for each event of that name; what it returns ends it.
   * @param {string} name
   * @param {(data: any, event: Event & Received) => void} listener
   * @returns {() => void}
   * @throws {TriwayError} `bad_name` or `bad_option`
   */
  on(name, listener) {
    checkEventName(name)
    checkFunction(listener, 'listener')
    const hear = (/** @type {any} */ event) => event.name === name && listener(event.data, event)
    this.addEventListener('message', hear)
    return () => this.removeEventListener('message', hear)
  }

  /** Who is here. @returns {Promise<Member[]>} */
  async members() {
    if (this.#isClosed) throw this.#error ?? closed('channel')
    return (await this.#context.presence(this.name)).members
  }

  /** Ends this handle, and no other of the same channel; nothing of the channel comes after. */
  close() {
    this.end()
  }

  /** @internal @param {TriwayError} [error] @param {TriwayError} [said] to the console, where nobody listens: of the end of the hub it was told already */
  end(error, said = this.#context.isOver() ? undefined : error) {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#error = error
    this.loading = false
    this.#context.leave(this)
    if (said) warn(this, said, `channel \`${this.name}\`: `)
    if (error) emit(this, 'error', { error })
    emit(this, 'close', { error })
  }

  /** @internal It begins after this place, where it has none. @param {string} real name @param {string} id */
  beginAfter(real, id) {
    if (this.#places.has(real)) return
    this.#places.set(real, id)
    this.#origins.set(real, id)
  }

  /** @internal An event that was left out on the way and read again. @param {import('./frame.js').Frame} frame @param {import('./cuts.js').Transport | null} via */
  takeLate(frame, via) {
    const { channel = '', id = '' } = frame
    if (!atOrBelow(id, this.#places.get(channel))) this.take(frame, via)
    else if (!atOrBelow(id, this.#origins.get(channel))) this.deliver(frame, via, true)
  }

  /** @internal An event or a gap, where it is new. @param {import('./frame.js').Frame} frame @param {import('./cuts.js').Transport | null} via */
  take(frame, via) {
    const { channel = '', id = '' } = frame
    if (this.#isClosed || atOrBelow(id, this.#places.get(channel))) return
    this.#places.set(channel, id)
    this.deliver(frame, via)
  }

  /** @internal @param {import('./frame.js').Frame} frame @param {import('./cuts.js').Transport | null} via @param {boolean} [late] */
  deliver(frame, via, late) {
    const { type, channel = '', id = '', name = 'message', from, time = 0, after, reason, data, json } = frame
    // An own inbox by its real name is one of several that are read together.
    if (this.#isClosed || (this.name !== this.wire && channel !== this.name)) return
    if (type === 'gap') return emit(this, 'gap', { after, reason, id, channel })
    const { isShared, reviver } = this.#context
    const isBytes = data instanceof ArrayBuffer
    const text = isBytes ? undefined : json
    try {
      // Listeners of one handle cannot change the data of another. Bytes that are transferred away are empty for the next handle.
      const value = text !== undefined && (reviver || isShared(this.wire)) ? JSON.parse(/** @type {string} */ (dataText(text)), reviver) : isBytes && isShared(this.wire) ? data.slice(0) : data
      this.dispatchEvent(new MessageEvent({ data: value, name, id, from, time, channel, via, ...(late && { late }) }, text))
    } catch (cause) {
      const error = new TriwayError('bad_data', { detail: `\`reviver\` failed: ${cause}`, hint: 'Correct the function passed as `reviver`.', cause })
      warn(this, error)
      emit(this, 'error', { error })
    }
  }

  /** The events pulled, from the first pull on, to the handle's end. @returns {AsyncGenerator<Event & Received>} */
  [Symbol.asyncIterator]() {
    return /** @type {any} */ (new Pull(this, () => [this.#isClosed, this.#error]))
  }
}

/** The events of a channel, pulled one by one. */
class Pull {
  /** @type {Event[]} */
  #waiting = []
  #channel
  #end
  #isBegun = false
  #isOver = false
  #isTooSlow = false
  /** Resolvers of pending `next()` calls. @type {(() => void)[]} */
  #wakes = []

  /** @param {Channel} channel @param {() => [boolean, TriwayError | undefined]} end whether it has ended, and why */
  constructor(channel, end) {
    this.#channel = channel
    this.#end = end
  }

  #hear = (/** @type {Event} */ event) => {
    if (event.type === 'message') {
      if (this.#waiting.length < LOOP_EVENTS) this.#waiting.push(event)
      else this.#isTooSlow = true
    }
    this.#wake()
  }

  #wake() {
    for (const wake of this.#wakes.splice(0)) wake()
  }

  /** @returns {Promise<IteratorResult<any>>} */
  async next() {
    if (!this.#isBegun) for (const type of ['message', 'close']) this.#channel.addEventListener(/** @type {any} */ (type), this.#hear)
    this.#isBegun = true
    for (;;) {
      if (this.#isOver) return { done: true, value: undefined }
      if (this.#waiting.length) return { done: false, value: this.#waiting.shift() }
      const [isClosed, error] = this.#end()
      if (this.#isTooSlow || (isClosed && error)) {
        this.return()
        throw error ?? new TriwayError('too_slow', { detail: `The loop fell ${LOOP_EVENTS} events behind`, hint: 'Do less in it, or listen for events.' })
      }
      if (isClosed) return this.return()
      await new Promise((resolve) => this.#wakes.push(() => resolve(undefined)))
    }
  }

  /** @returns {Promise<IteratorResult<any>>} */
  async return() {
    this.#isOver = true
    for (const type of ['message', 'close']) this.#channel.removeEventListener(/** @type {any} */ (type), this.#hear)
    this.#wake()
    return { done: true, value: undefined }
  }

  /** @param {any} error */
  async throw(error) {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator]() {
    return this
  }
}
