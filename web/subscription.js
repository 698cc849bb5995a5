/**
 * One channel, read once for all its handles. A handle is live, or its history is read first. Knows no
 * transport: the connection reports when the channel is covered, and hands over its frames.
 *
 * A channel is *covered* while every event of it arrives. `uncover` makes a live handle continue, later, from
 * its cursor by history; `cover` begins those histories.
 */
import { emit } from './channel.js'
import { atOrBelow } from './frame.js'
import { History } from './history.js'
import { Members } from './members.js'

/** @typedef {import('./channel.js').Channel} Channel @typedef {import('./channel.js').Member} Member */
/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./rungs.js').Transport} Transport */

/** How long a publish waits for its own channel to be read, in ms. */
const JOIN_MAX_MS = 3000

/**
 * @typedef {{channel: string, head: string, data: any, sizeBefore: number}} Publish a command without its key
 *
 * @typedef {object} Context what handles and subscriptions use of the hub
 * @property {(command: Publish, signal?: AbortSignal) => Promise<any>} publish
 * @property {(name: string) => Promise<{count: number, members: Member[]}>} presence the members; of many, only some
 * @property {(channel: Channel) => void} leave
 * @property {(name: string, since: string, bytes: number) => Promise<string>} history one page, as JSON
 * @property {import('./history.js').PageSize} pageSize
 * @property {() => boolean} isOver the hub has ended
 * @property {(name: string) => boolean} isShared several handles of this channel are open
 * @property {() => Transport | null} via the transport that carries
 * @property {() => string | undefined} cursor of the connection
 * @property {(name: string) => string[]} realNames under which the hub sends events of a channel: an inbox has several
 * @property {((key: string, value: any) => any) | undefined} reviver
 */

export class Subscription {
  /** @type {Set<Channel>} */
  handles = new Set()
  /** Every event arrives: live handles miss nothing. */
  isCovered = false
  /** Histories under way, by their handles. @type {Map<Channel, History>} */
  #histories = new Map()
  #members
  #context

  /** @param {string} name under which it is read @param {Context} context */
  constructor(name, context) {
    this.name = name
    this.#context = context
    this.#members = new Members(this, context)
  }

  /** Resolves when the channel is covered, or after a while. A publish waits for it, so that a channel that was just opened receives it, too. @returns {Promise<void> | undefined} */
  joined() {
    if (this.isCovered) return
    return (this.#joined ??= new Promise((resolve) => {
      const timer = setTimeout(resolve, JOIN_MAX_MS)
      this.#join = () => {
        clearTimeout(timer)
        resolve()
      }
    }))
  }
  /** @type {Promise<void> | undefined} */
  #joined
  #join = () => {}

  /** Whether a handle shows this session, and reports joins and leaves. */
  get hasPresence() {
    return [...this.handles].some(({ presence }) => presence)
  }

  /** @param {Channel} handle */
  add(handle) {
    this.handles.add(handle)
    handle.loading = !!handle.start
    if (!this.isCovered) return
    if (!handle.start) this.#beginAfter(handle, this.#context.cursor())
    if (handle.presence && !this.#members.isLoaded) this.#members.reload()
    queueMicrotask(() => this.#begin())
  }

  /** @param {Channel} handle @param {string | undefined} id */
  #beginAfter(handle, id) {
    if (id) for (const real of this.#context.realNames(this.name)) handle.beginAfter(real, id)
  }

  /** @param {Channel} handle @returns {boolean} whether it was the last one */
  remove(handle) {
    this.handles.delete(handle)
    const history = this.#histories.get(handle)
    this.#histories.delete(handle)
    if (history && ![...this.#histories.values()].includes(history)) history.stop()
    if (this.handles.size) return false
    this.#members.stop()
    this.#join()
    return true
  }

  /** From now on every event arrives. @param {string} [id] those after this id */
  cover(id) {
    if (this.isCovered) return
    this.isCovered = true
    this.#join()
    this.#joined = undefined
    for (const handle of this.handles) if (!handle.start) this.#beginAfter(handle, id)
    this.#begin()
    if (this.hasPresence) this.#members.reload()
  }

  /** From here on events may be missed. @param {string} [cursor] live handles have read up to here; without it they continue with the next live event */
  uncover(cursor) {
    this.isCovered = false
    for (const [handle, history] of this.#histories) {
      history.stop()
      this.#stopped.set(handle, history.positions)
    }
    this.#histories.clear()
    for (const handle of this.handles) if (handle.isCaughtUp) handle.start ??= cursor
  }

  /** Where histories stopped that must continue. @type {WeakMap<Channel, Map<string, string>>} */
  #stopped = new WeakMap()

  /** Reads history, once for all handles that begin at the same place. */
  #begin() {
    if (!this.isCovered) return
    /** @type {Map<string | Channel, Channel[]>} */
    const groups = new Map()
    for (const handle of this.handles) {
      if (this.#histories.has(handle)) continue
      // A history that was stopped continues for its handle only, since each may have stopped elsewhere.
      const group = this.#stopped.has(handle) ? handle : handle.start
      if (group && handle.start) groups.set(group, [...(groups.get(group) ?? []), handle])
      else if (!handle.isCaughtUp) this.#caughtUp(handle)
    }
    for (const handles of groups.values()) this.#load(/** @type {string} */ (handles[0].start), handles)
  }

  /** @param {string} start @param {Channel[]} handles */
  #load(start, handles) {
    const readers = () => handles.filter((handle) => this.#histories.get(handle) === history)
    const history = new History(this.#context.realNames(this.name), start, this.#context, {
      receive: (frame, via) => readers().forEach((handle) => handle.receive(frame, via)),
      done: () =>
        readers().forEach((handle) => {
          this.#histories.delete(handle)
          this.#stopped.delete(handle)
          handle.start = undefined
          this.#caughtUp(handle)
        }),
      refused: (error) => readers().forEach((handle) => handle.end(error)),
    }, new Map(this.#stopped.get(handles[0])))
    for (const handle of handles) {
      handle.loading = true
      handle.isCaughtUp = false
      this.#histories.set(handle, history)
    }
  }

  /** @param {Channel} handle */
  #caughtUp(handle) {
    // A listener of another handle may have closed it.
    if (!this.handles.has(handle)) return
    handle.loading = false
    handle.isCaughtUp = true
    emit(handle, 'caughtup')
  }

  /** An event or gap of the channel, or of its presence channel. @param {Frame} frame @param {Transport | null} via */
  receive(frame, via) {
    const { type, channel = '', name = '', data } = frame
    if (channel !== this.name && channel[0] === '$') {
      if (type === 'gap') this.#members.reload()
      else this.#members.onChange(name, data, frame, via)
      return
    }
    // The history that will be read includes it.
    if (!this.isCovered) return
    for (const history of new Set(this.#histories.values())) history.hold(frame)
    // A handle that reads its history gets it from there.
    for (const handle of [...this.handles]) if (!handle.start) handle.receive(frame, via)
  }

  /**
   * Frames were lost on the way: reads them again, and delivers what did not arrive.
   * @param {{since: string, upTo: string, arrived: Set<string>}} missing after which id, up to which id, and the ids in between that arrived
   */
  repair({ since, upTo, arrived }) {
    const handles = [...this.handles].filter(({ start }) => !start)
    if (!handles[0]) return
    new History(this.#context.realNames(this.name), since, this.#context, {
      receive: (frame, via) => {
        const { id = '' } = frame
        if (!atOrBelow(id, upTo) || arrived.has(id)) return
        for (const handle of handles) if (this.handles.has(handle)) handle.receiveLate(frame, via)
      },
      done: () => {},
      refused: () => {},
    })
  }

  /** Ends every handle. @param {import('./error.js').TriwayError} [error] */
  end(error) {
    this.#join()
    for (const handle of [...this.handles]) handle.end(error)
  }
}
