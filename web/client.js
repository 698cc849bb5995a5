/**
 * The hub as the page sees it: one loop of pick (ladder) → read (attach) → dispatch → move the cursor.
 * Knows no wire: readers bring frames; the ladder alone decides which transport is tried when.
 */
import { Attach, query, wireName } from './attach.js'
import { Channel, TriwayEvent } from './channel.js'
import { atOrBelow, foreign, MAGIC, refused, TriwayError } from './frame.js'
import { newLadder, see } from './ladder.js'
import { link, memoryOf, watchPage } from './page.js'
import { newNonce } from './poll.js'
import { Sending } from './send.js'
import { request } from './sse.js'

export { TriwayError, Channel }

/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./cuts.js').Transport} Transport */

/**
 * @typedef {object} Options
 * @property {string | (() => string | Promise<string>)} [token] asked again when refused or expired
 * @property {Transport[]} [transports] allowed; the order is a preference
 * @property {any} [info] shown in presence
 * @property {AbortSignal} [signal] closes the hub
 * @property {number} [heartbeat] seconds
 * @property {typeof globalThis.fetch} [fetch] where the platform has none, or another is wanted
 * @property {any} [WebSocket] the same
 * @property {any} [EventSource] the same
 */

/** The session key lasts an hour at most; it is renewed well before, by a small poll. */
const RENEW_MS = 45 * 60_000
/** Steps and facts kept for the report. */
const LOG_MOST = 200
/** No answer to the look for the hub, in ms. */
const CHECK_MS = 2500

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
  #options
  #base
  /** @type {import('./ws.js').Globals} */
  #globals
  /** @type {Map<string, Channel>} */
  #channels = new Map()
  /** The last id seen of each channel, by its real name. @type {Map<string, string>} */
  #places = new Map()
  /** @type {Map<number, Attach>} */
  #attaches = new Map()
  /** Where reading goes on from: the carrier, the last one, or the first to say hello. @type {Attach | undefined} */
  #line
  /** @type {Attach | undefined} */
  #carrier
  #sending = new Sending(
    (path, more, init) => this.#ask(path, more, init),
    (what) => (what === 'expired' ? this.#renew() : this.#see(what)),
  )
  #ladder
  #memory
  /** What was seen and done, for the report. @type {any[][]} */
  #log = []
  /** @type {any} */
  #timer
  #timerAt = Infinity
  #renewedAt = Date.now()
  #pingedAt = 0
  #pingMs = 0
  #syncing = false
  /** @type {Promise<string | undefined> | undefined} */
  #token
  #tokenRefused = false
  #unwatch
  /** @type {(value?: any) => void} */
  #isReady = () => {}
  /** @type {(error: any) => void} */
  #isRefused = () => {}

  /** @param {string | URL} address @param {Options} options */
  constructor(address, options) {
    super()
    this.#options = options
    this.#base = new URL(address, globalThis.location?.href).href.replace(/\/?$/, '/')
    // Called through the hub, a browser's fetch refuses: it wants its own `this`.
    this.#globals = { ...globalScope(), ...options }
    this.#memory = memoryOf(this.#base)
    const transports = options.transports ?? ['ws', 'sse', 'poll']
    this.#ladder = newLadder(
      transports.filter((transport) => transport !== 'ws' || this.#globals.WebSocket),
      Math.random,
      this.#memory.load(),
      link(),
    )
    /** Resolves with the first proven transport. @type {Promise<void>} */
    this.ready = new Promise((resolve, reject) => {
      this.#isReady = resolve
      this.#isRefused = reject
    })
    this.ready.catch(() => {})
    /** Private events for this session and user. */
    this.inbox = this.channel('@')
    options.signal?.addEventListener('abort', () => this.close())
    this.#unwatch = watchPage((type) => {
      if (type === 'pause') this.#leave()
      if (type !== 'start' || !this.#carrier) this.#see(type)
    })
    // One tick later, so that the channels opened beside it are in the first attach.
    queueMicrotask(() => this.#see('start'))
  }

  /**
   * @param {string} name
   * @param {{since?: string, presence?: boolean}} [options]
   * @returns {Channel}
   */
  channel(name, options = {}) {
    let channel = this.#channels.get(name)
    if (channel) return channel
    channel = new Channel(name, options, {
      send: async (command, data, signal) => {
        if (this.state === 'closed') throw new TriwayError('closed')
        return this.#sending.push(command, data, signal)
      },
      who: async () => {
        await this.ready
        return (await this.#ask('presence/' + encodeURIComponent(name))).members
      },
      end: () => {
        this.#channels.delete(name)
        this.#places.delete(name)
        this.#places.delete('$presence/' + name)
        this.#sync()
      },
    })
    this.#channels.set(name, channel)
    this.#sync()
    return channel
  }

  /** Changes the transport by hand, or back to the ladder's choice. @param {Transport | 'auto'} transport */
  use(transport) {
    this.#see('use', { transport })
  }

  /** What was tried, seen and chosen, and why: data, and text by String(report). */
  async report() {
    // Loaded only when it is used.
    const { report } = await import('./report.js')
    const { state, transport, rtt } = this
    return report({ state, transport, rtt, learned: this.#ladder.learned, log: this.#log })
  }

  /** Ends everything; what waits to be sent is rejected. */
  close() {
    this.#leave()
    this.#finish('closed', new TriwayError('closed'))
  }

  /** @param {string} why @param {TriwayError} error */
  #finish(why, error) {
    if (this.state === 'closed') return
    clearTimeout(this.#timer)
    this.#unwatch()
    for (const attach of this.#attaches.values()) attach.stop.abort()
    this.#sending.close(error)
    this.#isRefused(error)
    this.#change('transport', null, why)
    this.#change('state', 'closed', why, error)
  }

  /** @param {'state' | 'transport'} what @param {any} to @param {string} reason @param {TriwayError} [error] */
  #change(what, to, reason, error) {
    const from = this[what]
    if (from === to) return
    this[what] = /** @type {never} */ (to)
    this.dispatchEvent(new TriwayEvent(what, { from, to, reason, error }))
  }

  // The ladder's steps

  /** @param {Parameters<typeof see>[2]} type @param {import('./ladder.js').Fact} [fact] */
  #see(type, fact) {
    if (this.state === 'closed') return
    const now = Date.now()
    const ladder = this.#ladder
    const steps = see(ladder, now, type, fact)
    if (type !== 'frame' && type !== 'tick') this.#note(now, type, fact)
    // A timer that fires early does no harm, so it is only ever moved nearer.
    if (ladder.wakeAt < this.#timerAt) {
      clearTimeout(this.#timer)
      this.#timerAt = ladder.wakeAt
      this.#timer = setTimeout(() => {
        this.#timerAt = Infinity
        this.#see('tick')
      }, ladder.wakeAt - now)
    }
    for (const step of steps) {
      this.#note(now, step.do, step)
      if (step.do === 'open') this.#open(step)
      else if (step.do === 'close') this.#drop(step.id, 'closed')
      else if (step.do === 'carry') this.#carry(step.id, step.why)
      else if (step.do === 'state') this.#change('state', step.state, step.why)
      else if (step.do === 'check') this.#check()
      else this.#memory.keep(ladder.memory)
    }
  }

  /** @param {any[]} line */
  #note(...line) {
    this.#log.push(line)
    if (this.#log.length > LOG_MOST) this.#log.shift()
  }

  /** @param {{id: number, transport: Transport, why: string, beat?: number, wait?: number, early?: number}} step */
  async #open({ id, transport, why, beat, wait, early }) {
    let token
    try {
      token = await this.#credential()
    } catch {
      return this.#see('ended', { id, why: 'token' })
    }
    const line = this.#line
    const cursor = line?.cursor
    const starts = new Map()
    for (const name of this.#wanted()) {
      const covered = cursor && line.covered.has(name)
      starts.set(name, covered ? undefined : (this.#places.get(name) ?? this.#channels.get(name)?.since ?? (cursor && 'now')))
    }
    const { info, heartbeat } = this.#options
    const presence = this.#showsPresence() ? 1 : undefined
    const attach = new Attach({
      id,
      transport,
      why,
      base: this.#base,
      starts,
      cursor,
      session: line?.session,
      token,
      params: { why: why.includes(':') ? why : undefined, heartbeat: beat ?? heartbeat, wait, early, presence, info: presence && info && JSON.stringify(info) },
      globals: this.#globals,
    })
    this.#attaches.set(id, attach)
    attach.read(
      (frame) => this.#frame(attach, frame),
      (error) => this.#ended(attach, error),
    )
  }

  /** @param {number} id @param {string} why */
  #drop(id, why) {
    const attach = this.#attaches.get(id)
    this.#attaches.delete(id)
    attach?.stop.abort()
    if (!attach || attach !== this.#carrier) return
    this.#carrier = undefined
    this.#sending.by(attach.session?.id ?? '')
    this.#change('transport', null, `${attach.transport}:${why}`)
  }

  /** @param {number} id @param {string} why */
  #carry(id, why) {
    const attach = /** @type {Attach} */ (this.#attaches.get(id))
    const session = attach.session?.id ?? ''
    this.#carrier = this.#line = attach
    this.session = { id: session }
    this.#sending.by(session, attach.socket, !attach.socket)
    this.#change('transport', attach.transport, why)
    this.#isReady()
    this.#sync()
  }

  /** Is it the hub that answers? */
  async #check() {
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), CHECK_MS)
    /** @type {import('./ladder.js').Fact} */
    let fact = {}
    try {
      const response = await this.#globals.fetch(`${this.#base}healthz?${newNonce()}`, { cache: 'no-store', signal: stop.signal })
      const ok = (await response.json().catch(() => {}))?.magic === MAGIC
      fact = { ok, foreign: !ok && (response.status < 502 || response.status > 504) }
    } catch {
      // No answer is none from a stranger either.
    }
    clearTimeout(timer)
    this.#see('checked', fact)
  }

  // What attaches tell

  /** @param {Attach} attach @param {Frame} frame */
  #frame(attach, frame) {
    const { type, time } = frame
    const { transport, plan } = attach
    if (type === 'hello') this.#hello(attach, frame)
    else if (type === 'reply') this.#reply(attach, frame)
    else if (type === 'bye') return this.#bye(attach, frame)
    else if (type === 'head') attach.headed = true
    else this.#read(attach, frame)
    if (attach.stop.signal.aborted) return
    this.#see('frame', { id: plan.id, time, ping: type === 'ping' })
    if (transport === 'poll' && attach.cursor) this.#see('proof', { id: plan.id })
    if (attach === this.#carrier) this.#alive(transport)
  }

  /** @param {Attach} attach @param {Frame} frame */
  #hello(attach, frame) {
    const { magic, nonce, id, session, heartbeat: beat, network, build } = frame
    if (magic !== MAGIC || nonce !== attach.nonce) return this.#ended(attach, foreign())
    this.#tokenRefused = false
    attach.cursor = id
    attach.session = session
    if (this.#line && session?.id === this.#line.session?.id) this.#line.session = session
    this.#renewedAt = Date.now()
    // Before the next heartbeat, whose frame is what reminds us.
    this.#pingMs = 900 * (beat ?? 0)
    this.#see('hello', { id: attach.plan.id, beat, network, build })
    if (attach.transport === 'ws') {
      const sentAt = Date.now()
      attach.command({ type: 'ping' }, () => {
        this.#measured(sentAt)
        this.#see('proof', { id: attach.plan.id })
      })
    }
    if (this.#line) return
    // The first hello is the line that all others continue, as its session. What was opened beside
    // it begins elsewhere, as somebody else: it begins anew.
    this.#line = attach
    for (const other of this.#attaches.values()) {
      if (other === attach) continue
      other.stop.abort()
      this.#open(other.plan)
    }
  }

  /** @param {Attach} attach @param {Frame} frame */
  #reply(attach, frame) {
    const onReply = attach.replies.get(/** @type {number} */ (frame.ref))
    attach.replies.delete(/** @type {number} */ (frame.ref))
    if (onReply) onReply(frame)
    else if (attach === this.#carrier) this.#sending.reply(frame)
  }

  /** Event, gap, ping or the end of a poll: moves the cursor, and what is new goes to its handle. @param {Attach} attach @param {Frame} frame */
  #read(attach, { type, channel = '', id, name = 'message', data, from, time = 0, after, reason }) {
    if (!id) return
    // The replay of a subscribe moves only its channel's place.
    if (!channel || attach.covered.has(wireName(channel))) attach.cursor = id
    if (!channel || atOrBelow(id, this.#places.get(channel))) return
    const watched = channel.replace(/^\$presence\//, '')
    const handle = this.#channels.get(wireName(watched))
    if (!handle) return
    this.#places.set(channel, id)
    if (watched !== channel) {
      if (type === 'event') handle.moved(name, data)
      else handle.reload().catch(() => {})
    } else if (type === 'event') handle.heard({ data, name, id, from, time, channel, via: attach.transport })
    else handle.tell('gap', { after, reason, id, channel })
  }

  /** @param {Attach} attach @param {Frame} frame */
  #bye(attach, { code, reason, reconnect, after_ms: afterMs }) {
    if (code === 3003) this.#token = undefined
    if (code === 3501) return this.#ended(attach, new TriwayError('unauthorized', { status: 401, hint: reason }))
    if (!reconnect && attach === this.#carrier) return this.#finish('bye:' + reason, new TriwayError('bye', { detail: reason }))
    this.#gone(attach, { why: 'bye:' + reason, afterMs, planned: true })
  }

  /** @param {Attach} attach @param {any} error */
  #ended(attach, error) {
    const { code, status = 0, hint, foreign, afterMs } = error ?? {}
    const why = code && error instanceof TriwayError ? code : attach.headed ? 'closed' : 'refused'
    if (hint && status < 500 && status !== 426 && status !== 429) {
      // The application is asked for a new token once; else the hub's word is final.
      if (status !== 401 || this.#tokenRefused || typeof this.#options.token !== 'function') return this.#finish(why, error)
      this.#tokenRefused = true
      this.#token = undefined
    }
    this.#gone(attach, { why, afterMs: status === 401 ? 0 : afterMs || undefined, foreign, planned: status === 401 })
  }

  /** @param {Attach} attach @param {import('./ladder.js').Fact} fact */
  #gone({ plan, transport }, fact) {
    this.#drop(plan.id, /** @type {string} */ (fact.why))
    this.#see('ended', { ...fact, id: plan.id, transport })
  }

  #credential() {
    const { token } = this.#options
    return (this.#token ??= Promise.resolve(typeof token === 'function' ? token() : token).catch((error) => {
      this.#token = undefined
      throw error
    }))
  }

  // Channels

  #showsPresence() {
    return [...this.#channels.values()].some((channel) => channel.presence)
  }

  /** Names that should be read now. */
  #wanted() {
    return [...this.#channels.values()].flatMap(({ name, presence }) => (presence ? [name, '$presence/' + name] : name))
  }

  /** Soon brings what is read in line with what is wanted. */
  #sync() {
    if (this.#syncing) return
    this.#syncing = true
    queueMicrotask(() => {
      this.#syncing = false
      const carrier = this.#carrier
      if (!carrier) return
      const { covered, plan, joining } = carrier
      const wanted = this.#wanted()
      const fresh = wanted.filter((name) => !covered.has(name))
      const stale = [...covered].filter((name) => !wanted.includes(name))
      if (!fresh.length && !stale.length) return
      if (!carrier.socket || (this.#showsPresence() && !plan.params.presence)) return this.#see('reopen')
      for (const channel of stale) {
        covered.delete(channel)
        carrier.command({ type: 'unsubscribe', channel }, () => {})
      }
      for (const channel of fresh) if (!joining.has(channel)) this.#subscribe(carrier, channel)
    })
  }

  /** @param {Attach} carrier @param {string} channel */
  #subscribe(carrier, channel) {
    const { joining, covered } = carrier
    joining.add(channel)
    const since = this.#places.get(channel) ?? this.#channels.get(channel)?.since
    carrier.command({ type: 'subscribe', channel, since }, ({ ok, error }) => {
      joining.delete(channel)
      if (ok) covered.add(channel)
      else {
        const handle = this.#channels.get(channel)
        handle?.tell('error', { error: new TriwayError(/** @type {any} */ (error).code, error) })
        handle?.close()
      }
      this.#sync()
    })
  }

  // Requests beside the reading

  /** @param {string} path @param {string} [more] @param {RequestInit} [init] */
  async #ask(path, more = '', init) {
    const token = await this.#credential()
    const startedAt = Date.now()
    const address = `${this.#base}${path}?${query({ session: this.#line?.session?.key })}${more}`
    const response = await this.#globals.fetch(address, { ...request(token), ...init })
    if (!response.ok) throw await refused(response)
    const answer = await response.json()
    this.#measured(startedAt)
    return answer
  }

  /** @param {number} sentAt */
  #measured(sentAt) {
    this.rtt = Date.now() - sentAt
    this.#see('rtt', { ms: this.rtt })
  }

  /** Something came on the carrier: a time to say that we are here, and who, as often as it is asked. @param {Transport} transport */
  #alive(transport) {
    const now = Date.now()
    if (now > this.#renewedAt + RENEW_MS) this.#renew()
    // On SSE nothing goes back by itself, and presence is judged by a ping each heartbeat.
    if (transport !== 'sse' || !this.#showsPresence() || now < this.#pingedAt + this.#pingMs) return
    this.#pingedAt = now
    this.#ask('send', '', { method: 'POST', body: '[{"type":"ping"}]' }).catch(() => {})
  }

  /** A hello renews the session key; a poll that is not held brings one, whatever carries. */
  async #renew() {
    const line = this.#line
    this.#renewedAt = Date.now()
    const answer = await this.#ask('poll', query({ channels: '@', since: 'now', wait: 0, nonce: line?.nonce })).catch(() => {})
    const session = answer?.frames?.[0]?.session
    if (!session || !line) return
    // Another id: the hub no longer knows this session (a restart with another secret).
    if (session.id === line.session?.id) line.session = session
    else this.#see('reopen')
  }

  /** Presence ends at once where no close of a socket tells it. */
  #leave() {
    const { session, socket } = this.#carrier ?? {}
    if (!session || socket || !this.#showsPresence()) return
    const address = `${this.#base}send?${query({ session: session.key })}`
    this.#globals.fetch(address, { method: 'POST', body: '[{"type":"leave"}]', keepalive: true }).catch(() => {})
  }
}

/** The globals that may be replaced; fetch wants its own `this`. */
const globalScope = () => {
  const { fetch, WebSocket, EventSource, ReadableStream } = globalThis
  return { fetch: fetch?.bind(globalThis), WebSocket, EventSource, ReadableStream }
}
