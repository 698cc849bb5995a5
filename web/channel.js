/**
 * The application's handle of one channel: events out, publishes in. Knows the hub only by the few
 * functions it was given, and nothing of transports.
 */
import { TriwayError, withBytes } from './frame.js'

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

/**
 * @typedef {object} Kept what the hub has of a channel
 * @property {string} [since]
 * @property {boolean} [presence]
 * @property {any} [isRead] its members are told as they come
 * @property {any} [take] what tabs do with its frames
 * @property {(type: string, data: any, more?: object) => void} moved
 * @property {() => Promise<void>} reload
 *
 * @typedef {Channel & Kept} Opened
 */

/** @param {EventTarget} target @param {string} type @param {object} [facts] that the event has as properties */
export const tell = (target, type, facts) => target.dispatchEvent(Object.assign(new Event(type), facts))

/**
 * The handle.
 * @param {string} name
 * @param {{since?: string, presence?: boolean}} options
 * @param {(json: string, signal?: AbortSignal) => Promise<any>} push
 * @param {() => Promise<{members: Member[]}>} who
 * @param {() => void} end
 * @returns {Opened}
 */
export function newChannel(name, { since, presence }, push, who, end) {
  /** Members as told so far, by id: what a reload is compared with. @type {Map<string, Member> | undefined} */
  let known

  const handle = /** @type {Opened} */ (
    Object.assign(new EventTarget(), {
      name,
      since,
      presence,
      publish: async (/** @type {any} */ data = null, /** @type {{name?: string, signal?: AbortSignal}} */ { name: named, signal } = {}) =>
        push(JSON.stringify({ type: 'publish', channel: name, name: named, ...withBytes(data) }), signal),
      on(/** @type {string} */ named, /** @type {(data: any, event: Event & Received) => void} */ listener) {
        const stop = new AbortController()
        handle.addEventListener('message', (event) => event.name === named && listener(event.data, event), stop)
        return () => stop.abort()
      },
      async members() {
        const { members } = await who()
        known = new Map(members.map((member) => [member.id, member]))
        return members
      },
      /** @param {string} type join, leave or count @param {any} data @param {object} [more] when, and by which transport */
      moved(type, { count, ...member }, more) {
        if (type === 'join') known?.set(member.id, member)
        else known?.delete(member.id)
        tell(handle, type, { member, count, ...more })
      },
      /** Presence events were missed: the members are loaded again, and the difference told. */
      async reload() {
        const before = known
        const members = await handle.members().catch(() => {})
        if (!before || !members) return
        const count = members.length
        for (const member of members) if (!before.delete(member.id)) handle.moved('join', { ...member, count })
        for (const member of before.values()) handle.moved('leave', { ...member, count })
      },
      close() {
        end()
        tell(handle, 'close')
      },
      /** The events pulled, from the first pull on, to the handle's end. */
      async *[Symbol.asyncIterator]() {
        const stop = new AbortController()
        const { signal } = stop
        /** @type {any[]} */
        const waiting = []
        /** @type {(value?: any) => void} */
        let wake = () => {}
        const heard = (/** @type {Event} */ event) => {
          if (waiting.push(event) > LOOP_EVENTS) stop.abort()
          wake()
        }
        handle.addEventListener('message', heard, stop)
        handle.addEventListener('close', heard, stop)
        try {
          for (;;) {
            await (waiting.length || signal.aborted || new Promise((resolve) => (wake = resolve)))
            const event = waiting.shift()
            if (!event) throw new TriwayError('too_slow')
            if (event.type === 'close') return
            yield event
          }
        } finally {
          stop.abort()
        }
      },
    })
  )
  return handle
}
