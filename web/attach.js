/**
 * One attach: one WS connection, one event stream, or one chain of polls, with the cursor that it
 * moves and the channels that the cursor covers. Knows no other attach and decides nothing: it
 * tells what it saw, in order, to the hub that opened it.
 */
import { nextRef } from './frame.js'
import { newNonce, readPoll } from './poll.js'
import { readSse } from './sse.js'
import { readWs } from './ws.js'

/** @typedef {import('./frame.js').Frame} Frame */
/** @typedef {import('./ladder.js').Transport} Transport */

/** Longest list of channels and starts in an address, in characters: proxies take 4 to 8 KB in all. */
const ADDRESS_LIST_MOST = 1500

const readers = { ws: readWs, sse: readSse, poll: readPoll }

/** The name under which a channel is asked for: events of an inbox carry its real name. @param {string} channel */
export const wireName = (channel) => (channel[0] === '@' ? '@' : channel)

/**
 * @typedef {object} Plan what an attach reads, and as whom
 * @property {string} base address of the hub, with a slash at its end
 * @property {Map<string, string | undefined>} starts by wire name: `undefined` is covered by the cursor
 * @property {string} [cursor]
 * @property {Frame['session']} [session]
 * @property {string} [token]
 * @property {Record<string, string | number | undefined>} params more of the address, alike for each request
 * @property {() => Record<string, string | number | undefined>} [changing] more of the address, for each request anew
 * @property {import('./ws.js').Globals} globals
 */

export class Attach {
  /** Everything up to here is read, of the channels covered. @type {string | undefined} */
  cursor_
  /** @type {Frame['session']} */
  session_
  /** Events of it reached the application, or it carried. */
  used_ = false
  helloAt_ = 0
  /** Subscribed, not yet covered. @type {Set<string>} */
  joining_ = new Set()
  #stop = new AbortController()
  /** @type {((message: string | Uint8Array<ArrayBuffer>) => void) | undefined} */
  #send
  /** @type {Map<number, (reply: Frame) => void>} */
  #replies = new Map()

  /**
   * @param {number} id
   * @param {Transport} transport
   * @param {Plan} plan
   */
  constructor(id, transport, plan) {
    this.id_ = id
    this.transport_ = transport
    this.plan_ = plan
    this.nonce_ = newNonce()
    this.covered_ = new Set(plan.starts.keys())
    this.cursor_ = plan.cursor
    this.session_ = plan.session
    /** Began at the cursor of an attach before it, so what it reads continues what was read. */
    this.inLine_ = !!plan.cursor
  }

  /**
   * Reads to the end, telling each frame; then tells why it ended, unless it was closed here.
   * @param {(frame: Frame) => void} onFrame
   * @param {(error: any) => void} onEnd
   */
  async read_(onFrame, onEnd) {
    const { signal } = this.#stop
    const { plan_: plan, nonce_: nonce, transport_: transport } = this
    const inBody = transport !== 'ws' && this.#list(plan.cursor).length > ADDRESS_LIST_MOST
    let error
    try {
      const frames = readers[transport]({
        url: (cursor, nonce) => this.#address(cursor, nonce, inBody),
        body: (cursor) => (inBody ? this.#body(cursor) : undefined),
        cursor: plan.cursor,
        nonce,
        signal,
        token: plan.token,
        globals: plan.globals,
        sendable: (send) => (this.#send = send),
      })
      for await (const frame of frames) {
        if (signal.aborted) return
        onFrame(frame)
      }
    } catch (caught) {
      error = caught
    }
    if (!signal.aborted) onEnd(error)
  }

  close_() {
    this.#stop.abort()
  }

  get closed_() {
    return this.#stop.signal.aborted
  }

  /** The way for publishes, where this wire can carry them. */
  get socket_() {
    return this.#send
  }

  /** A command whose reply is not the sending queue's. @param {object} command @param {(reply: Frame) => void} onReply */
  command_(command, onReply) {
    const ref = nextRef()
    this.#replies.set(ref, onReply)
    this.#send?.(JSON.stringify({ ...command, ref }))
  }

  /** @param {Frame} frame @returns {boolean} whether the reply was to a command of this attach */
  replied_(frame) {
    const ref = /** @type {number} */ (frame.ref)
    const onReply = this.#replies.get(ref)
    this.#replies.delete(ref)
    onReply?.(frame)
    return !!onReply
  }

  /** Channels and starts, as in an address. @param {string | undefined} cursor */
  #list(cursor) {
    const list = ['channels=' + [...this.covered_].map(encodeURIComponent)]
    if (cursor) list.push('since=' + cursor)
    if (cursor === this.plan_.cursor) {
      for (const [name, start] of this.plan_.starts) if (start) list.push(`${encodeURIComponent('since.' + name)}=${encodeURIComponent(start)}`)
    }
    return list.join('&')
  }

  /** The same as the body of a POST. @param {string | undefined} cursor */
  #body(cursor) {
    const { starts, token } = this.plan_
    const since = Object.fromEntries([...starts].filter(([, start]) => start && cursor === this.plan_.cursor))
    return JSON.stringify({ channels: [...this.covered_], since: cursor ? { ...since, '': cursor } : since, session: this.session_?.key, token })
  }

  /** @param {string | undefined} cursor @param {string} nonce @param {boolean} inBody */
  #address(cursor, nonce, inBody) {
    const { base, params, changing } = this.plan_
    /** @type {Record<string, string | number | undefined>} */
    const all = { nonce, ...params, ...changing?.() }
    if (!inBody) all.session = this.session_?.key
    if (this.transport_ === 'sse') Object.assign(all, { format: 'full', probe: 1 })
    // The first poll is the proof: it must not be held.
    if (this.transport_ === 'poll' && nonce === this.nonce_) all.wait = 0
    const query = Object.entries(all).map(([name, value]) => (value == null ? '' : `&${name}=${encodeURIComponent(value)}`))
    return `${base}${this.transport_}?${inBody ? '' : this.#list(cursor)}${query.join('')}`.replace('?&', '?')
  }
}
