/**
 * What is read of one channel, once for all its handles. A handle is live, or first has its history read.
 * Knows no transport: the connection says when the channel is covered, and hands over what comes.
 */
import { emit } from './channel.js'
import { atOrBelow } from './frame.js'
import { History } from './history.js'

/** @typedef {import('./channel.js').Channel} Channel @typedef {import('./channel.js').Member} Member */
/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./cuts.js').Transport} Transport */

/** Above so many members the hub tells their count alone. */
const COUNTED_MEMBERS = 200
/** Until members are asked for again that could not be had, in ms. */
const RELOAD_AGAIN_MS = 2000
/** How long a publish waits for its own channel to be read, in ms. */
const JOIN_MOST_MS = 3000

/**
 * @typedef {{channel: string, head: string, data: any, sizeBefore: number}} Publish a command but for its key
 *
 * @typedef {object} Context what handles and subscriptions have of the hub
 * @property {(command: Publish, signal?: AbortSignal) => Promise<any>} publish
 * @property {(name: string) => Promise<{count: number, members: Member[]}>} presence who is there: of many members only some
 * @property {(channel: Channel) => void} leave
 * @property {(name: string, since: string, bytes: number) => Promise<string>} history one page, as JSON
 * @property {import('./history.js').PageSize} pageSize
 * @property {() => boolean} isOver the hub has ended
 * @property {(name: string) => boolean} isShared several handles of this channel are open
 * @property {() => Transport | null} via the transport that carries
 * @property {() => string | undefined} cursor up to which everything live has come
 * @property {(name: string) => string[]} realNames what a channel is called where its events are
 * @property {((key: string, value: any) => any) | undefined} reviver
 */

export class Subscription {
  /** @type {Set<Channel>} */
  handles = new Set()
  /** Everything from here on comes: live handles miss nothing. */
  isCovered = false
  /** Histories under way, by their handles. @type {Map<Channel, History>} */
  #histories = new Map()
  /** Members as told so far, by id: what a reload is compared with. @type {Map<string, Member> | undefined} */
  #members
  #context

  /** @param {string} name under which it is read @param {Context} context */
  constructor(name, context) {
    this.name = name
    this.#context = context
  }

  /** Resolves when the channel is covered, or after a while: what is published right after it was opened is read, too. @returns {Promise<void> | undefined} */
  joined() {
    if (this.isCovered) return
    return (this.#joined ??= new Promise((resolve) => {
      const timer = setTimeout(resolve, JOIN_MOST_MS)
      this.#join = () => {
        clearTimeout(timer)
        resolve()
      }
    }))
  }
  /** @type {Promise<void> | undefined} */
  #joined
  #join = () => {}

  /** Whether some handle shows this session, and hears who comes and goes. */
  get hasPresence() {
    return [...this.handles].some(({ presence }) => presence)
  }

  /** @param {Channel} handle */
  add(handle) {
    this.handles.add(handle)
    handle.loading = !!handle.start
    if (!this.isCovered) return
    if (!handle.start) this.#beginAfter(handle, this.#context.cursor())
    if (handle.presence && !this.#members) this.reload()
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
    clearTimeout(this.#again)
    this.#join()
    return true
  }

  /** What comes from now on is complete. @param {string} [id] it begins after this */
  cover(id) {
    if (this.isCovered) return
    this.isCovered = true
    this.#join()
    this.#joined = undefined
    for (const handle of this.handles) if (!handle.start) this.#beginAfter(handle, id)
    this.#begin()
    if (this.hasPresence) this.reload()
  }

  /** Something may be missed from here on. @param {string} [cursor] live handles have read up to here; without it they go on with what is live next */
  uncover(cursor) {
    this.isCovered = false
    for (const [handle, history] of this.#histories) {
      history.stop()
      this.#stopped.set(handle, history.places)
    }
    this.#histories.clear()
    for (const handle of this.handles) if (handle.isCaughtUp) handle.start ??= cursor
  }

  /** Where histories stopped that are to go on. @type {WeakMap<Channel, Map<string, string>>} */
  #stopped = new WeakMap()

  /** Reads what came before, once for all handles that begin at the same place. */
  #begin() {
    if (!this.isCovered) return
    /** @type {Map<string | Channel, Channel[]>} */
    const groups = new Map()
    for (const handle of this.handles) {
      if (this.#histories.has(handle)) continue
      // Those that stopped on their way go on alone, since each may be elsewhere.
      const group = this.#stopped.has(handle) ? handle : handle.start
      if (group && handle.start) groups.set(group, [...(groups.get(group) ?? []), handle])
      else if (!handle.isCaughtUp) this.#caughtUp(handle)
    }
    for (const handles of groups.values()) this.#load(/** @type {string} */ (handles[0].start), handles)
  }

  /** @param {string} start @param {Channel[]} handles */
  #load(start, handles) {
    const mine = () => handles.filter((handle) => this.#histories.get(handle) === history)
    const history = new History(this.#context.realNames(this.name), start, this.#context, {
      take: (frame, via) => mine().forEach((handle) => handle.take(frame, via)),
      done: () =>
        mine().forEach((handle) => {
          this.#histories.delete(handle)
          this.#stopped.delete(handle)
          handle.start = undefined
          this.#caughtUp(handle)
        }),
      refused: (error) => mine().forEach((handle) => handle.end(error)),
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

  /** An event or gap of the channel, or of its presence. @param {Frame} frame @param {Transport | null} via */
  receive(frame, via) {
    const { type, channel = '', name = '', data } = frame
    if (channel !== this.name && channel[0] === '$') {
      if (type === 'gap') this.reload()
      else this.#move(name, data, frame, via)
      return
    }
    // It will be in the history of what was missed.
    if (!this.isCovered) return
    for (const history of new Set(this.#histories.values())) history.hold(frame)
    // What waits for its history will read it there.
    for (const handle of [...this.handles]) if (!handle.start) handle.take(frame, via)
  }

  /**
   * Frames were left out on the way: reads again, and delivers what did not come.
   * @param {{since: string, upTo: string, arrived: Set<string>}} hole from the last place at which nothing was missing, up to a place; and the ids that came
   */
  repair({ since, upTo, arrived }) {
    const handles = [...this.handles].filter(({ start }) => !start)
    if (!handles[0]) return
    new History(this.#context.realNames(this.name), since, this.#context, {
      take: (frame, via) => {
        const { id = '' } = frame
        if (!atOrBelow(id, upTo) || arrived.has(id)) return
        for (const handle of handles) if (this.handles.has(handle)) handle.takeLate(frame, via)
      },
      done: () => {},
      refused: () => {},
    })
  }

  /** A member joined or left. @param {string} type join, leave or count @param {any} data @param {Frame} frame @param {Transport | null} via */
  #move(type, { count, ...member }, { time, id = '', channel = '' }, via) {
    if (id && atOrBelow(id, this.#presencePlace)) return
    if (channel) {
      this.#presencePlace = id
      this.#moved.add(member.id)
    }
    if (type === 'join') this.#members?.set(member.id, member)
    else this.#members?.delete(member.id)
    for (const handle of [...this.handles]) if (handle.presence) emit(handle, type, { member, count, time, via })
  }
  #presencePlace = ''

  /** Presence events were missed: the members are loaded again, and the difference told. */
  async reload() {
    const moved = (this.#moved = new Set())
    const present = await this.#context.presence(this.name).catch((error) => this.#reloadLater(moved, error))
    if (!present || this.#moved !== moved) return
    const more = { id: '', time: Date.now(), type: '' }
    const via = this.#context.via()
    if (present.count > COUNTED_MEMBERS) {
      // Of so many the hub tells the number alone.
      this.#members = undefined
      return this.#move('count', { count: present.count }, more, via)
    }
    // What was told meanwhile is newer than the list.
    const isUntold = (/** @type {Member} */ { id }) => !moved.has(id)
    const before = this.#members
    const told = [...(before?.values() ?? [])]
    const members = present.members.filter(isUntold)
    this.#members = new Map([...told.filter((member) => !isUntold(member)), ...members].map((member) => [member.id, member]))
    if (!before) return
    const count = this.#members.size
    for (const member of members) if (!before.has(member.id)) this.#move('join', { ...member, count }, more, via)
    for (const member of told.filter(isUntold)) if (!this.#members.has(member.id)) this.#move('leave', { ...member, count }, more, via)
  }

  /** The difference is told later, unless the hub refuses for good or somebody asks anew. @param {Set<string>} moved of this reload @param {any} error */
  #reloadLater(moved, error) {
    if (error.kind === 'final' || !this.isCovered) return
    clearTimeout(this.#again)
    this.#again = setTimeout(() => this.#moved === moved && this.isCovered && this.hasPresence && this.reload(), RELOAD_AGAIN_MS)
  }
  /** @type {any} */
  #again
  /** Who came or left since the list was asked for. @type {Set<string>} */
  #moved = new Set()

  /** Its end: every handle ends. @param {import('./error.js').TriwayError} [error] */
  end(error) {
    this.#join()
    for (const handle of [...this.handles]) handle.end(error)
  }
}
