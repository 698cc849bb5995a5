/**
 * The application's handle of one channel: events out, publishes in. It belongs to the code that opened it.
 * Knows no transport.
 */
import { encode, sizeBefore } from './data.js'
import { closed, consoleText, TriwayError } from './error.js'
import { atOrBelow, dataText } from './frame.js'
import { checkEventName, checkFunction, checkPublishOptions } from './options.js'

/** Events that wait for a `for await` loop: far more than a history holds, so a loop that is slower has stopped. */
const LOOP_EVENTS = 10_000

/**
 * An event target whose events are typed by name.
 * @template Events
 * @typedef {{
 *   addEventListener<Type extends keyof Events>(type: Type, listener: (event: Event & Events[Type]) => void, options?: boolean | AddEventListenerOptions): void
 *   removeEventListener<Type extends keyof Events>(type: Type, listener: (event: Event & Events[Type]) => void, options?: boolean | EventListenerOptions): void
 * } & EventTarget} Target
 */

/**
 * @typedef {object} Received one event of a channel
 * @property {any} data an ArrayBuffer where bytes were published
 * @property {string} [text] the data as the JSON text that was published, digit for digit; absent for bytes
 * @property {string} name
 * @property {string} id
 * @property {string} [from]
 * @property {number} time ms since 1970, by the hub's clock
 * @property {string} channel
 * @property {import('./rungs.js').Transport} via the transport that brought it
 * @property {boolean} [late] it was lost on the way and read again, after newer events were delivered
 *
 * @typedef {object} Member
 * @property {string} id
 * @property {string | null} user null if it has none
 * @property {any} info null if it has none
 * @property {number} [since] ms since 1970; absent in joins and leaves
 *
 * @typedef {object} Moved
 * @property {Member} member
 * @property {number} count
 * @property {number} time ms since 1970, by the hub's clock
 * @property {import('./rungs.js').Transport} via the transport that brought it
 *
 * @typedef {object} ChannelEventMap
 * @property {Received} message
 * @property {{after: string, reason: 'evicted' | 'expired' | 'restart' | 'unknown' | 'incomplete', id: string, channel: string}} gap events before the next one are missing
 * @property {Moved} join
 * @property {Moved} leave
 * @property {{count: number, time: number, via: import('./rungs.js').Transport}} count instead of both, if there are many members
 * @property {{}} caughtup everything from `since` to now was delivered; what follows is live
 * @property {{error: TriwayError}} error the channel was refused, or the hub ended
 * @property {{error?: TriwayError}} close nothing of the channel comes after
 *
 * @typedef {{name?: string, signal?: AbortSignal}} PublishOptions
 * @typedef {{id: string, reached: {ws: number, sse: number, poll: number}}} Published
 */

/** An event of the hub, for the application. The text of its data is extracted on first use. */
class MessageEvent extends Event {
  #json

  /** @param {object} facts its properties @param {string | undefined} json of its frame */
  constructor(facts, json) {
    super('message')
    Object.assign(this, facts)
    this.#json = json
  }

  get text() {
    return this.#json === undefined ? undefined : dataText(this.#json)
  }
}

/** @param {EventTarget} target @param {string} type @param {object} [facts] properties of the event */
export const emit = (target, type, facts) => target.dispatchEvent(Object.assign(new Event(type), facts))

/** An event target that knows whether the application listens for errors or the end. */
export class ListenerTarget extends EventTarget {
  /** @internal */
  hasEndListener = false

  /** @param {string} type @param {any} listener @param {any} [options] @override */
  addEventListener(type, listener, options) {
    this.hasEndListener ||= /^(error|close)$/.test(type)
    super.addEventListener(type, listener, options)
  }
}

/** Prints an error on the console, once, if the application does not listen for errors. @param {any} target @param {TriwayError} error @param {string} [where] */
export function warn(target, error, where) {
  if (!target.hasEndListener) console.warn(consoleText(error, where))
  target.hasEndListener = true
}

/** An event target whose events are typed. @type {new () => Target<ChannelEventMap>} */
const ChannelTarget = /** @type {any} */ (ListenerTarget)

export class Channel extends ChannelTarget {
  /** Why it ended; undefined if the application closed it. @type {TriwayError | undefined} */
  #error
  #isClosed = false
  #context
  /** The last id delivered, by the channel's real name. @type {Map<string, string>} */
  #lastIds = new Map()
  /** The id after which it begins. @type {Map<string, string>} */
  #startIds = new Map()
  /** @internal Its history was delivered. */
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
    /** @internal Where its history begins, until that was read. @type {string | undefined} */
    this.start = since === 'now' ? undefined : (since ?? undefined)
    /** @internal */
    this.presence = !!presence
    /** Whether its history is still being read. */
    this.loading = false
    this.#context = context
  }

  /**
   * Publishes JSON, or bytes as ArrayBuffer, view, Blob or File. Resolves when the hub has the event.
   * @param {any} [data] null if it is left out
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
   * Calls `listener` for each event of that name. Returns a function that ends this.
   * @param {string} name
   * @param {(data: any, event: Event & Received) => void} listener
   * @returns {() => void}
   * @throws {TriwayError} `bad_name` or `bad_option`
   */
  on(name, listener) {
    checkEventName(name)
    checkFunction(listener, 'listener')
    const onMessage = (/** @type {any} */ event) => event.name === name && listener(event.data, event)
    this.addEventListener('message', onMessage)
    return () => this.removeEventListener('message', onMessage)
  }

  /** The members that are present. @returns {Promise<Member[]>} */
  async members() {
    if (this.#isClosed) throw this.#error ?? closed('channel')
    return (await this.#context.presence(this.name)).members
  }

  /** Ends this handle, and no other of the same channel. It gets no events after that. */
  close() {
    this.end()
  }

  /** @internal @param {TriwayError} [error] @param {TriwayError} [reported] on the console, if the application does not listen; the end of a hub was printed already */
  end(error, reported = this.#context.isOver() ? undefined : error) {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#error = error
    this.loading = false
    this.#context.leave(this)
    if (reported) warn(this, reported, `channel \`${this.name}\`: `)
    if (error) emit(this, 'error', { error })
    emit(this, 'close', { error })
  }

  /** @internal It begins after this id, unless it has begun. @param {string} real name @param {string} id */
  beginAfter(real, id) {
    if (this.#lastIds.has(real)) return
    this.#lastIds.set(real, id)
    this.#startIds.set(real, id)
  }

  /** @internal An event that was lost on the way and read again. @param {import('./frame.js').Frame} frame @param {import('./rungs.js').Transport | null} via */
  receiveLate(frame, via) {
    const { channel = '', id = '' } = frame
    if (!atOrBelow(id, this.#lastIds.get(channel))) this.receive(frame, via)
    else if (!atOrBelow(id, this.#startIds.get(channel))) this.deliver(frame, via, true)
  }

  /** @internal Delivers an event or a gap, if it is new. @param {import('./frame.js').Frame} frame @param {import('./rungs.js').Transport | null} via */
  receive(frame, via) {
    const { channel = '', id = '' } = frame
    if (this.#isClosed || atOrBelow(id, this.#lastIds.get(channel))) return
    this.#lastIds.set(channel, id)
    this.deliver(frame, via)
  }

  /** @internal @param {import('./frame.js').Frame} frame @param {import('./rungs.js').Transport | null} via @param {boolean} [late] */
  deliver(frame, via, late) {
    const { type, channel = '', id = '', name = 'message', from, time = 0, after, reason, data, json } = frame
    // The handle of one inbox by its real name gets that inbox only; all inboxes are read together.
    if (this.#isClosed || (this.name !== this.wire && channel !== this.name)) return
    if (type === 'gap') return emit(this, 'gap', { after, reason, id, channel })
    const { isShared, reviver } = this.#context
    const isBytes = data instanceof ArrayBuffer
    const text = isBytes ? undefined : json
    try {
      // Each handle gets data of its own, so that a listener cannot change or transfer the data of another.
      const value = text !== undefined && (reviver || isShared(this.wire)) ? JSON.parse(/** @type {string} */ (dataText(text)), reviver) : isBytes && isShared(this.wire) ? data.slice(0) : data
      this.dispatchEvent(new MessageEvent({ data: value, name, id, from, time, channel, via, ...(late && { late }) }, text))
    } catch (cause) {
      const error = new TriwayError('bad_data', { detail: `\`reviver\` failed: ${cause}`, hint: 'Correct the function passed as `reviver`.', cause })
      warn(this, error)
      emit(this, 'error', { error })
    }
  }

  /** The events from the first `next()` on, until the handle ends. @returns {AsyncGenerator<Event & Received>} */
  [Symbol.asyncIterator]() {
    return /** @type {any} */ (new EventIterator(this, () => [this.#isClosed, this.#error]))
  }
}

/** The events of a channel, as an async iterator. */
class EventIterator {
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

  #onEvent = (/** @type {Event} */ event) => {
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
    if (!this.#isBegun) for (const type of ['message', 'close']) this.#channel.addEventListener(/** @type {any} */ (type), this.#onEvent)
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
    for (const type of ['message', 'close']) this.#channel.removeEventListener(/** @type {any} */ (type), this.#onEvent)
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
