/**
 * The application's handle of one channel: events out, publishes in. Knows the hub only by the few
 * functions it was given, and nothing of transports.
 */
import { Inflow } from './inflow.js'
import { TriwayError } from './frame.js'

/** Events that wait for a `for await` loop: far beyond a history; a loop that is slower has stopped. */
const LOOP_EVENTS = 10_000

/** An Event with the facts it tells as properties. */
export class TriwayEvent extends Event {
  /** @param {string} type @param {object} facts */
  constructor(type, facts) {
    super(type)
    Object.assign(this, facts)
  }
}

/**
 * @typedef {object} Received one event of a channel
 * @property {any} data an ArrayBuffer where bytes were published
 * @property {string} name
 * @property {string} id
 * @property {string} [from]
 * @property {number} time ms since 1970, by the hub's clock
 * @property {string} channel
 * @property {import('./ladder.js').Transport} via the transport that brought it
 */

/**
 * @typedef {object} Member
 * @property {string} id
 * @property {string} [user]
 * @property {any} [info]
 * @property {number} [since]
 */

/**
 * @typedef {object} Uses what a handle may ask of its hub
 * @property {(command: object, data: any, signal?: AbortSignal) => Promise<any>} send
 * @property {(channel: string) => Promise<Member[]>} who
 * @property {(channel: Channel) => void} end
 */

export class Channel extends EventTarget {
  /** @internal @type {string | undefined} */
  since
  /** @internal @type {boolean | undefined} */
  presence
  #uses
  /** @type {Set<Inflow<Received>>} */
  #loops = new Set()
  /** Members as told so far, by id: what a reload is compared with. @type {Map<string, Member> | undefined} */
  #members
  #compared = false

  /**
   * @param {string} name
   * @param {{since?: string, presence?: boolean}} options
   * @param {Uses} uses
   */
  constructor(name, { since, presence }, uses) {
    super()
    this.name = name
    this.since = since
    this.presence = presence
    this.#uses = uses
  }

  /**
   * Resolves when the hub has the event.
   * @param {any} data JSON, or bytes as ArrayBuffer or a view
   * @param {{name?: string, signal?: AbortSignal}} [options]
   * @returns {Promise<{id: string, reached: {ws: number, sse: number, poll: number}}>}
   */
  publish(data, { name, signal } = {}) {
    return this.#uses.send({ type: 'publish', channel: this.name, name }, data, signal)
  }

  /**
   * Calls `listener` for each event of that name.
   * @param {string} name
   * @param {(data: any, event: Received) => void} listener
   * @returns {() => void} ends it
   */
  on(name, listener) {
    const heard = (/** @type {any} */ event) => event.name === name && listener(event.data, event)
    this.addEventListener('message', heard)
    return () => this.removeEventListener('message', heard)
  }

  /** @returns {AsyncGenerator<Received>} */
  async *[Symbol.asyncIterator]() {
    /** @type {Inflow<Received>} */
    const loop = new Inflow()
    this.#loops.add(loop)
    try {
      yield* loop
    } finally {
      this.#loops.delete(loop)
    }
  }

  /** Who is here. @returns {Promise<Member[]>} */
  async members() {
    const members = await this.#uses.who(this.name)
    this.#members = new Map(members.map((member) => [member.id, member]))
    return members
  }

  /** Ends the handle; nothing of the channel comes after. */
  close() {
    for (const loop of this.#loops) loop.end()
    this.#uses.end(this)
  }

  /** @internal @param {Received} event */
  heard(event) {
    for (const loop of this.#loops) {
      if (loop.items.length < LOOP_EVENTS) loop.push(event)
      else loop.end(new TriwayError('too_slow'))
    }
    this.tell('message', event)
  }

  /** @internal @param {string} type join, leave or count @param {any} data @param {object} [more] when, and by which transport */
  moved(type, { count, ...member }, more) {
    if (type === 'join') this.#members?.set(member.id, member)
    else this.#members?.delete(member.id)
    this.tell(type, { member, count, ...more })
  }

  /** @internal Presence events were missed: the members are loaded again, and the difference told. */
  async reload() {
    const before = this.#members
    const members = await this.members()
    const count = members.length
    if (!before) return
    for (const member of members) if (!before.delete(member.id)) this.moved('join', { ...member, count })
    for (const member of before.values()) this.moved('leave', { ...member, count })
  }

  /** @internal Both the channel and its presence are read: once, what came before that is made up for. */
  compare() {
    if (!this.#compared) this.reload().catch(() => {})
    this.#compared = true
  }

  /** @internal @param {string} type @param {object} facts */
  tell(type, facts) {
    this.dispatchEvent(new TriwayEvent(type, facts))
  }
}
