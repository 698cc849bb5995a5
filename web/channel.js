/**
 * The application's handle of one channel: events out, publishes in. Knows the hub only by the few
 * functions it was given, and nothing of transports.
 */
import { TriwayError } from './frame.js'

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
 * @property {string} name
 * @property {string} id
 * @property {string} [from]
 * @property {number} time ms since 1970, by the hub's clock
 * @property {string} channel
 * @property {import('./cuts.js').Transport} via the transport that brought it
 *
 * @typedef {object} Member
 * @property {string} id
 * @property {string} [user]
 * @property {any} [info]
 * @property {number} [since]
 *
 * @typedef {object} Moved
 * @property {Member} member
 * @property {number} count
 * @property {number} time ms since 1970, by the hub's clock
 * @property {import('./cuts.js').Transport} via the transport that brought it
 *
 * @typedef {object} ChannelEventMap
 * @property {Received} message
 * @property {{after: string, reason: 'evicted' | 'expired' | 'restart' | 'unknown', id: string, channel: string}} gap before the next event: some were forgotten
 * @property {Moved} join
 * @property {Moved} leave
 * @property {{count: number, time: number, via: import('./cuts.js').Transport}} count instead of both, where there are many members
 * @property {{error: TriwayError}} error the channel was refused
 * @property {{}} close nothing of the channel comes after
 *
 * @typedef {object} Uses what an application does with a channel
 * @property {string} name
 * @property {(data: any, options?: {name?: string, signal?: AbortSignal}) => Promise<{id: string, reached: {ws: number, sse: number, poll: number}}>} publish JSON, or bytes as ArrayBuffer or a view; resolves when the hub has the event
 * @property {(name: string, listener: (data: any, event: Event & Received) => void) => () => void} on calls `listener` for each event of that name; what it returns ends it
 * @property {() => Promise<Member[]>} members who is here
 * @property {() => void} close ends the handle; nothing of the channel comes after
 *
 * @typedef {Target<ChannelEventMap> & AsyncIterable<Event & Received> & Uses} Channel
 */

/** @param {EventTarget} target @param {string} type @param {object} [facts] that the event has as properties */
export const tell = (target, type, facts = {}) => target.dispatchEvent(Object.assign(new Event(type), facts))

/**
 * The handle, and what the hub does with it.
 * @param {string} name
 * @param {{since?: string, presence?: boolean}} options
 * @param {(command: object, data: any, signal?: AbortSignal) => Promise<any>} push
 * @param {() => Promise<Member[]>} who
 * @param {() => void} end
 */
export function newChannel(name, { since, presence }, push, who, end) {
  /** Members as told so far, by id: what a reload is compared with. @type {Map<string, Member> | undefined} */
  let known

  const handle = /** @type {Channel} */ (
    Object.assign(new EventTarget(), {
      name,
      publish: (/** @type {any} */ data, /** @type {{name?: string, signal?: AbortSignal}} */ { name: named, signal } = {}) =>
        push({ type: 'publish', channel: name, name: named }, data, signal),
      on(/** @type {string} */ named, /** @type {(data: any, event: Event & Received) => void} */ listener) {
        const stop = new AbortController()
        handle.addEventListener('message', (event) => event.name === named && listener(event.data, event), stop)
        return () => stop.abort()
      },
      async members() {
        const members = await who()
        known = new Map(members.map((member) => [member.id, member]))
        return members
      },
      close() {
        end()
        tell(handle, 'close')
      },
      [Symbol.asyncIterator]: () => loop(handle),
    })
  )

  /** @param {string} type join, leave or count @param {any} data @param {object} [more] when, and by which transport */
  function moved(type, { count, ...member }, more) {
    if (type === 'join') known?.set(member.id, member)
    else known?.delete(member.id)
    tell(handle, type, { member, count, ...more })
  }

  /** Presence events were missed: the members are loaded again, and the difference told. */
  async function reload() {
    const before = known
    const members = await handle.members().catch(() => {})
    if (!before || !members) return
    const count = members.length
    for (const member of members) if (!before.delete(member.id)) moved('join', { ...member, count })
    for (const member of before.values()) moved('leave', { ...member, count })
  }

  return { handle, since, presence, isRead: false, moved, reload }
}

/** The events pulled, from the first pull on, to the handle's end. @param {Channel} handle */
async function* loop(handle) {
  const stop = new AbortController()
  /** @type {(Event & Received)[]} */
  const waiting = []
  let isClosed = false
  /** @type {(value?: any) => void} */
  let wake = () => {}
  const heard = (/** @type {Event & Received} */ event) => {
    if (waiting.push(event) > LOOP_EVENTS) stop.abort()
    wake()
  }
  handle.addEventListener('message', heard, stop)
  handle.addEventListener('close', () => wake((isClosed = true)), stop)
  try {
    for (;;) {
      while (waiting.length) yield /** @type {Event & Received} */ (waiting.shift())
      if (stop.signal.aborted) throw new TriwayError('too_slow')
      if (isClosed) return
      await new Promise((resolve) => (wake = resolve))
    }
  } finally {
    stop.abort()
  }
}
