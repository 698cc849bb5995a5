/**
 * The members of one channel, as its handles report them: joins and leaves as they arrive, and the difference
 * to the list of the hub where some were missed. Knows no transport.
 */
import { emit } from './channel.js'
import { atOrBelow } from './frame.js'

/** @typedef {import('./channel.js').Member} Member @typedef {import('./frame.js').Frame} Frame @typedef {import('./rungs.js').Transport} Transport */

/** Above this number of members the hub sends their count only. */
const COUNTED_MEMBERS = 200
/** Pause before a failed request for the members is repeated, in ms. */
const RETRY_MS = 2000

export class Members {
  /** As reported so far, by id: a reload is compared with them. @type {Map<string, Member> | undefined} */
  #known
  /** Members that joined or left since the last reload began. @type {Set<string>} */
  #changed = new Set()
  /** The id of the last join or leave. */
  #lastId = ''
  /** @type {any} */
  #timer
  #subscription
  #context

  /** @param {import('./subscription.js').Subscription} subscription @param {import('./subscription.js').Context} context */
  constructor(subscription, context) {
    this.#subscription = subscription
    this.#context = context
  }

  get isLoaded() {
    return !!this.#known
  }

  /** A member joined or left. @param {string} type join, leave or count @param {any} data @param {Frame} frame @param {Transport | null} via */
  onChange(type, data, { time, id = '' }, via) {
    if (atOrBelow(id, this.#lastId)) return
    this.#lastId = id
    this.#changed.add(data.id)
    this.#report(type, data, time, via)
  }

  /** @param {string} type @param {any} data @param {number | undefined} time @param {Transport | null} via */
  #report(type, { count, ...member }, time, via) {
    if (type === 'join') this.#known?.set(member.id, member)
    else this.#known?.delete(member.id)
    for (const handle of [...this.#subscription.handles]) if (handle.presence) emit(handle, type, { member, count, time, via })
  }

  /** Joins or leaves were missed: loads the members, and reports the difference. */
  async reload() {
    const changed = (this.#changed = new Set())
    const present = await this.#context.presence(this.#subscription.name).catch((error) => this.#retry(changed, error))
    // Another reload may have begun.
    if (!present || this.#changed !== changed) return
    if (present.count <= COUNTED_MEMBERS) return this.#compare(present.members, changed)
    this.#known = undefined
    this.#report('count', { count: present.count }, Date.now(), this.#context.via())
  }

  /** @param {Member[]} present @param {Set<string>} changed during the request: those changes are newer than its answer, and reported already */
  #compare(present, changed) {
    const isSettled = (/** @type {Member} */ { id }) => !changed.has(id)
    const before = this.#known
    const known = [...(before?.values() ?? [])]
    const members = present.filter(isSettled)
    this.#known = new Map([...known.filter((member) => !isSettled(member)), ...members].map((member) => [member.id, member]))
    if (!before) return
    const { size: count } = this.#known
    const now = Date.now()
    const via = this.#context.via()
    for (const member of members) if (!before.has(member.id)) this.#report('join', { ...member, count }, now, via)
    for (const member of known.filter(isSettled)) if (!this.#known.has(member.id)) this.#report('leave', { ...member, count }, now, via)
  }

  /** Loads them again after a pause, unless the hub refused for good. @param {Set<string>} changed of the reload that failed @param {any} error */
  #retry(changed, error) {
    const subscription = this.#subscription
    if (error.kind === 'final' || !subscription.isCovered) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#changed === changed && subscription.isCovered && subscription.hasPresence && this.reload(), RETRY_MS)
  }

  stop() {
    clearTimeout(this.#timer)
  }
}
