/**
 * The hub as the page sees it: one loop of pick (ladder) → read (attach) → dispatch → move the cursor.
 * Knows no wire: readers bring frames; the ladder alone decides which transport is tried when.
 * Names that end in an underscore are for the client's own modules.
 */
import { ask, check, credential, leave, renew } from './ask.js'
import { Attach } from './attach.js'
import { Channel, TriwayEvent } from './channel.js'
import { TriwayError } from './frame.js'
import { start, sync, wanted } from './join.js'
import { newLadder } from './ladder.js'
import { link, load, keep, watchPage } from './page.js'
import { onEnd, onFrame, read } from './read.js'
import { Sending } from './send.js'

export { TriwayError, Channel }

/** @typedef {import('./cuts.js').Transport} Transport @typedef {import('./rungs.js').Fact} Fact */

/**
 * @typedef {object} Options
 * @property {string | (() => string | Promise<string>)} [token] asked again when refused or expired
 * @property {Transport[]} [transports] allowed; the order is a preference
 * @property {any} [info] shown in presence
 * @property {AbortSignal} [signal] closes the hub
 * @property {number} [heartbeat] seconds
 * @property {boolean} [share] one tab of this origin reads for all
 * @property {typeof globalThis.fetch} [fetch] where the platform has none, or another is wanted
 * @property {any} [WebSocket] the same
 * @property {any} [EventSource] the same
 */

/** Steps and facts kept for the report. */
const LOG_MOST = 200

/** @param {string | URL} [address] of the hub @param {Options} [options] */
export const connect = (address = '/', options = {}) => new Hub(address, options)

export class Hub extends EventTarget {
  /** @type {'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline' | 'closed'} */
  state = 'connecting'
  /** @type {Transport | null} */
  transport = null
  /** @type {{id: string} | null} */
  session = null
  /** Round-trip time in ms. @type {number | undefined} */
  rtt
  /** Resolves with the first proven transport. @type {Promise<void>} */
  ready
  /** @internal @type {Map<string, Channel>} */
  channels_ = new Map()
  /** @internal The last id seen of each channel, by its real name. @type {Map<string, string>} */
  places_ = new Map()
  /** @internal @type {Map<number, Attach>} */
  attaches_ = new Map()
  /** @internal Where reading goes on from: the carrier, the last one, or the first to say hello. @type {Attach | undefined} */
  line_
  /** @internal @type {Attach | undefined} */
  carrier_
  /** @internal What was seen and done, for the report. @type {any[][]} */
  log_ = []
  /** @internal @type {any} */
  timer_
  /** @internal */
  timerAt_ = Infinity
  /** @internal */
  renewedAt_ = 0
  /** @internal */
  pingedAt_ = 0
  /** @internal */
  pingMs_ = 0
  /** @internal @type {string | undefined} */
  token_
  /** @internal */
  tokenRefused_ = false
  /** @internal @type {import('./share.js').Share | undefined} */
  share_
  /** @internal @type {Options} */
  options_
  /** @internal */
  base_ = ''
  /** @internal A browser's fetch wants its own `this`. @type {import('./ws.js').Globals} */
  globals_
  /** @internal @type {import('./rungs.js').Ladder} */
  ladder_
  /** @internal @type {Sending} */
  sending_
  /** @internal */
  unwatch_ = () => {}
  /** @internal Another tab reads for this one: its ladder rests. */
  follows_ = false
  /** @internal @type {(value?: any) => void} */
  isReady_ = () => {}
  /** @internal @type {(error: any) => void} */
  isRefused_ = () => {}

  /** @param {string | URL} address @param {Options} options */
  constructor(address, options) {
    super()
    const { fetch, WebSocket, EventSource, ReadableStream } = globalThis
    this.options_ = options
    this.follows_ = !!options.share
    this.base_ = new URL(address, globalThis.location?.href).href.replace(/\/?$/, '/')
    this.globals_ = { fetch: fetch?.bind(globalThis), WebSocket, EventSource, ReadableStream, ...options }
    this.ladder_ = newLadder(
      (options.transports ?? ['ws', 'sse', 'poll']).filter((transport) => transport !== 'ws' || this.globals_.WebSocket),
      Math.random,
      load(this.base_),
      link(),
    )
    this.sending_ = new Sending(
      (path, more, init) => ask(this, path, more, init),
      (what) => (what === 'expired' ? renew(this) : this.see_(what)),
    )
    this.ready = new Promise((resolve, reject) => {
      this.isReady_ = resolve
      this.isRefused_ = reject
    })
    this.ready.catch(() => {})
    /** Private events for this session and user. */
    this.inbox = this.channel('@')
    options.signal?.addEventListener('abort', () => this.close())
    if (options.signal?.aborted) queueMicrotask(() => this.close())
    this.unwatch_ = watchPage((type) => {
      if (type === 'pause') leave(this)
      this.see_(type)
    })
    // Loaded only when it is used. Else one tick later, so that the channels opened beside it are in the first attach.
    if (options.share) {
      import('./share.js')
        .then(({ share }) => this.state === 'closed' || (this.share_ = share(this, { ask_: ask, read_: read, sync_: sync, wanted_: wanted, TriwayError }) ?? undefined))
        .catch(() => this.lead_())
    } else queueMicrotask(() => this.lead_())
  }

  /**
   * @param {string} name
   * @param {{since?: string, presence?: boolean}} [options]
   * @returns {Channel}
   */
  channel(name, options = {}) {
    let channel = this.channels_.get(name)
    if (channel) return channel
    channel = new Channel(name, options, {
      send: async (command, data, signal) => {
        if (this.state === 'closed') throw new TriwayError('closed')
        return (this.share_ ?? this.sending_).push(command, data, signal)
      },
      who: async () => {
        await this.ready
        return (await ask(this, 'presence/' + encodeURIComponent(name))).members
      },
      end: () => {
        this.channels_.delete(name)
        this.places_.delete(name)
        this.places_.delete('$presence/' + name)
        sync(this)
      },
    })
    this.channels_.set(name, channel)
    sync(this)
    return channel
  }

  /** Changes the transport by hand, or back to the ladder's choice. @param {Transport | 'auto'} transport */
  use(transport) {
    this.see_('use', { transport })
  }

  /** What was tried, seen and chosen, and why: data, and text by String(report). */
  async report() {
    const { report } = await import('./report.js')
    const { state, transport, rtt, log_: log, ladder_: ladder } = this
    return report({ state, transport, rtt, log, learned: ladder.learned })
  }

  /** Ends everything; what waits to be sent is rejected. */
  close() {
    leave(this)
    this.finish_('closed', new TriwayError('closed'))
  }

  /** @internal @param {string} why @param {TriwayError} error */
  finish_(why, error) {
    if (this.state === 'closed') return
    clearTimeout(this.timer_)
    this.unwatch_()
    this.share_?.close()
    for (const id of this.attaches_.keys()) this.drop_(id, why)
    this.sending_.close(error)
    this.isRefused_(error)
    this.change_('state', 'closed', why, error)
  }

  /** @internal @param {'state' | 'transport'} what @param {any} to @param {string} reason @param {TriwayError} [error] */
  change_(what, to, reason, error) {
    const from = this[what]
    if (from === to) return
    this[what] = /** @type {never} */ (to)
    this.dispatchEvent(new TriwayEvent(what, { from, to, reason, error }))
  }

  /** @internal This tab reads. */
  lead_() {
    this.follows_ = false
    this.see_('start')
  }

  /** @internal Is this session shown to others? */
  presence_() {
    return wanted(this).some((name) => name.startsWith('$presence/'))
  }

  /** @internal Tells the ladder, and takes its steps. @param {import('./rungs.js').FactType} type @param {Fact} [fact] */
  see_(type, fact) {
    if (this.state === 'closed' || this.follows_) return
    const now = Date.now()
    const ladder = this.ladder_
    const steps = ladder.see(now, type, fact)
    if (!/frame|tick|rtt|proof/.test(type)) this.note_(now, type, fact)
    // A timer that fires early does no harm, so it is only ever moved nearer.
    if (ladder.wakeAt < this.timerAt_) {
      clearTimeout(this.timer_)
      this.timerAt_ = ladder.wakeAt
      this.timer_ = setTimeout(() => {
        this.timerAt_ = Infinity
        this.see_('tick')
      }, ladder.wakeAt - now)
    }
    for (const step of steps) {
      this.note_(now, step.do, step)
      if (step.do === 'open') this.open_(step)
      else if (step.do === 'close') this.drop_(step.id, 'closed')
      else if (step.do === 'carry') {
        this.carry_(step.id, step.why)
        keep(this.base_, ladder.memory)
      }
      else if (step.do === 'state') this.change_('state', step.state, step.why)
      else if (step.do === 'check') check(this)
    }
  }

  /** @internal @param {any[]} line */
  note_(...line) {
    this.log_ = [...this.log_, line].slice(-LOG_MOST)
  }

  /** @internal @param {{id: number, transport: Transport, why: string, beat?: number, wait?: number, early?: number}} step */
  async open_({ id, transport, why, beat, wait, early }) {
    let token
    try {
      token = await credential(this)
    } catch {
      return this.see_('ended', { id, why: 'token' })
    }
    // It may have been given up meanwhile.
    if (!this.ladder_.tries.has(id)) return
    const { line_: line, options_: options } = this
    const cursor = line?.cursor
    const starts = new Map(wanted(this).map((name) => [name, cursor && line.covered.has(name) ? undefined : (start(this, name) ?? (cursor && 'now'))]))
    const presence = this.presence_() ? 1 : undefined
    const info = presence && options.info && JSON.stringify(options.info)
    const params = { why: why.includes(':') ? why : undefined, heartbeat: beat ?? options.heartbeat, wait, early, presence, info }
    const attach = new Attach({ id, transport, why, base: this.base_, starts, cursor, session: line?.session, token, params, globals: this.globals_ })
    this.attaches_.set(id, attach)
    attach.read(
      (frame) => onFrame(this, attach, frame),
      (error) => onEnd(this, attach, error),
    )
  }

  /** @internal @param {number} id @param {string} why */
  drop_(id, why) {
    const attach = this.attaches_.get(id)
    this.attaches_.delete(id)
    attach?.stop.abort()
    if (!attach || attach !== this.carrier_) return
    this.carrier_ = undefined
    this.sending_.by(attach.session?.id)
    this.change_('transport', null, `${attach.transport}:${why}`)
  }

  /** @internal @param {number} id @param {string} why */
  carry_(id, why) {
    const attach = /** @type {Attach} */ (this.attaches_.get(id))
    // What was joined while this one was opened goes on from where the old line has read it to.
    const { covered, cursor } = this.line_ ?? attach
    for (const name of covered) if (cursor && !attach.covered.has(name)) this.places_.set(name, cursor)
    this.carrier_ = this.line_ = attach
    this.adopt_(attach)
    this.change_('transport', attach.transport, why)
    this.isReady_()
    sync(this)
  }

  /** @internal Publishes go by this attach, as its session. @param {Attach} attach */
  adopt_({ session, socket }) {
    this.session = { id: session?.id ?? '' }
    this.sending_.by(session?.id, socket, !socket)
  }
}
