/**
 * The hub as the page sees it: one loop of pick (ladder) → read (attach) → dispatch → move the cursor.
 * Knows no wire: readers bring frames; the ladder alone decides which transport is tried when.
 */
import { Attach, wireName } from './attach.js'
import { Channel, TriwayEvent } from './channel.js'
import { atOrBelow, MAGIC, refusal, refused, TriwayError } from './frame.js'
import { Ladder } from './ladder.js'
import { Sending } from './send.js'
import { credentials } from './sse.js'

export { TriwayError, Channel }

/** @typedef {import('./frame.js').Frame} Frame */
/** @typedef {import('./ladder.js').Transport} Transport */

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

/** The lone ping of `probe=1` must come before this, in ms after hello: 150 ms later it is sent, and 1.2 s of silence follow. */
const PROBE_MOST_MS = 1100
/** A POST without an answer for so long hangs. */
const POST_MOST_MS = 5000
/** The session key lasts an hour at most; it is renewed well before, by a small poll. */
const RENEW_MS = 45 * 60_000

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
  #sending = new Sending(() => this.#renew())
  #ladder
  /** @type {any} */
  #timer
  /** @type {any} */
  #renewal
  #syncing = false
  /** @type {Promise<string | undefined> | undefined} */
  #token
  #tokenRefused = false
  /** @type {(value?: any) => void} */
  #isReady = () => {}
  /** @type {(error: any) => void} */
  #isRefused = () => {}

  /** @param {string | URL} address @param {Options} options */
  constructor(address, options) {
    super()
    this.#options = options
    const here = globalThis.location?.href
    this.#base = new URL(address, here).href.replace(/\/?$/, '/')
    this.#globals = {
      // Called through the hub, a browser's fetch refuses: it wants its own `this`.
      fetch: options.fetch ?? globalThis.fetch?.bind(globalThis),
      WebSocket: options.WebSocket ?? globalThis.WebSocket,
      EventSource: options.EventSource ?? globalThis.EventSource,
      ReadableStream: globalThis.ReadableStream,
    }
    this.#ladder = new Ladder({
      transports: options.transports ?? ['ws', 'sse', 'poll'],
      random: Math.random,
    })
    /** Resolves with the first proven transport. @type {Promise<void>} */
    this.ready = new Promise((resolve, reject) => {
      this.#isReady = resolve
      this.#isRefused = reject
    })
    this.ready.catch(() => {})
    /** Private events for this session and user. */
    this.inbox = this.channel('@')
    options.signal?.addEventListener('abort', () => this.close())
    // One tick later, so that the channels opened beside it are in the first attach.
    queueMicrotask(() => this.#see({ type: 'start' }))
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
      publish_: (command, data, signal) => this.#publish(command, data, signal),
      members_: (name) => this.#members(name),
      close_: (closed) => this.#closeChannel(closed),
    })
    this.#channels.set(name, channel)
    this.#sync()
    return channel
  }

  /** Changes the transport by hand, or back to the ladder's choice. @param {Transport | 'auto'} transport */
  use(transport) {
    this.#see({ type: 'use', transport })
  }

  /** Ends everything; what waits to be sent is rejected. */
  close() {
    this.#finish('closed', new TriwayError('closed', 'the hub was closed'))
  }

  /** @param {string} reason @param {TriwayError} error */
  #finish(reason, error) {
    if (this.state === 'closed') return
    clearTimeout(this.#timer)
    clearTimeout(this.#renewal)
    for (const attach of this.#attaches.values()) attach.close_()
    this.#attaches.clear()
    this.#sending.close_(error)
    this.#isRefused(error)
    this.#toTransport(null, reason)
    this.#to('closed', reason, error)
  }

  /** @param {any} state @param {string} reason @param {TriwayError} [error] */
  #to(state, reason, error) {
    const from = this.state
    this.state = state
    this.dispatchEvent(new TriwayEvent('state', { from, to: state, reason, error }))
  }

  /** @param {Transport | null} to @param {string} reason */
  #toTransport(to, reason) {
    const from = this.transport
    if (from === to) return
    this.transport = to
    this.dispatchEvent(new TriwayEvent('transport', { from, to, reason }))
  }

  // The ladder's steps

  /** @param {import('./ladder.js').Fact} fact */
  #see(fact) {
    if (this.state === 'closed') return
    const steps = this.#ladder.see(fact, Date.now())
    clearTimeout(this.#timer)
    const inMs = this.#ladder.wakeAt_ - Date.now()
    if (inMs < Infinity) this.#timer = setTimeout(() => this.#see({ type: 'tick' }), Math.max(inMs, 0))
    for (const step of steps) {
      if (step.do === 'open') this.#open(step.id, step.transport, step.why)
      else if (step.do === 'close') this.#drop(step.id)
      else if (step.do === 'carry') this.#carry(step.id, step.reason)
      else this.#to(step.state, step.reason)
    }
  }

  /** @param {number} id @param {Transport} transport @param {string} why */
  async #open(id, transport, why) {
    let token
    try {
      token = await this.#credential()
    } catch (error) {
      return this.#see({ type: 'end', id, reason: 'token' })
    }
    const wanted = this.#wanted()
    const line = this.#line
    const starts = new Map()
    for (const name of wanted) {
      const covered = line?.cursor_ && line.covered_.has(name)
      starts.set(name, covered ? undefined : (this.#places.get(name) ?? this.#channels.get(name)?.since_ ?? (line?.cursor_ && 'now')))
    }
    const presence = this.#showsPresence()
    const attach = new Attach(id, transport, {
      base: this.#base,
      starts,
      cursor: line?.cursor_,
      session: line?.session_,
      token,
      params: {
        why: why === 'start' ? undefined : why,
        heartbeat: this.#options.heartbeat,
        presence: presence ? 1 : undefined,
        info: presence && this.#options.info !== undefined ? JSON.stringify(this.#options.info) : undefined,
      },
      globals: this.#globals,
    })
    this.#attaches.set(id, attach)
    attach.read_(
      (frame) => this.#frame(attach, frame),
      (error) => this.#ended(attach, error),
    )
  }

  /** @param {number} id */
  #drop(id) {
    const attach = this.#attaches.get(id)
    this.#attaches.delete(id)
    attach?.close_()
    if (attach === this.#carrier) this.#carrier = undefined
  }

  /** @param {number} id @param {string} reason */
  #carry(id, reason) {
    const attach = /** @type {Attach} */ (this.#attaches.get(id))
    this.#carrier = this.#line = attach
    attach.used_ = true
    this.session = { id: attach.session_?.id ?? this.session?.id ?? '' }
    this.#sending.session_(this.session.id)
    if (attach.socket_) this.#sending.way_(attach.socket_)
    else this.#sending.way_(null, (body) => this.#post(body))
    this.#toTransport(attach.transport_, reason)
    this.#isReady()
    this.#sync()
  }

  // What attaches tell

  /** @param {Attach} attach @param {Frame} frame */
  #frame(attach, frame) {
    const { type } = frame
    if (type === 'head') {
      if (attach.transport_ === 'poll' && attach.inLine_) this.#proven(attach)
    } else if (type === 'hello') this.#hello(attach, frame)
    else if (type === 'reply') attach.replied_(frame) || (attach === this.#carrier && this.#sending.reply_(frame))
    else if (type === 'bye') this.#bye(attach, frame)
    else {
      if (type === 'ping' && attach.transport_ === 'sse' && Date.now() - attach.helloAt_ < PROBE_MOST_MS) this.#proven(attach)
      // What begins nowhere that we know of may leave a hole: it is a test of the way, no more.
      if (attach.inLine_) this.#read(attach, frame)
    }
  }

  /** @param {Attach} attach @param {Frame} frame */
  #hello(attach, frame) {
    if (frame.magic !== MAGIC || frame.nonce !== attach.nonce_) {
      return this.#ended(attach, new TriwayError('foreign', 'a hello that is not for us', { foreign: true }))
    }
    attach.helloAt_ = Date.now()
    attach.cursor_ = frame.id
    attach.session_ = frame.session
    // The first hello is the line that all later attaches continue.
    if (!this.#line) {
      this.#line = attach
      attach.inLine_ = true
    } else if (attach.session_?.id === this.#line.session_?.id) this.#line.session_ = attach.session_
    if (attach.transport_ === 'ws') {
      const sentAt = Date.now()
      attach.command_({ type: 'ping' }, () => {
        this.rtt = Date.now() - sentAt
        this.#see({ type: 'rtt', ms: this.rtt })
        this.#proven(attach)
      })
    } else if (attach.transport_ === 'poll') this.#proven(attach)
    clearTimeout(this.#renewal)
    this.#renewal = setTimeout(() => this.#renew(), RENEW_MS)
  }

  /** @param {Attach} attach */
  #proven(attach) {
    this.#tokenRefused = false
    if (!attach.inLine_) {
      // It was opened before there was a line to continue. If nobody saw that line, it begins here.
      if (!this.#line?.used_) {
        this.#line = attach
        attach.inLine_ = true
      } else {
        attach.close_()
        return this.#open(attach.id_, attach.transport_, 'line')
      }
    }
    this.#see({ type: 'proof', id: attach.id_ })
  }

  /** Event, gap, ping or the end of a poll: moves the cursor, and what is new goes to its handle. @param {Attach} attach @param {Frame} frame */
  #read(attach, frame) {
    const { type, channel = '', id } = frame
    // The replay of a subscribe moves only its channel's place.
    if (id && (!channel || attach.covered_.has(wireName(channel)))) attach.cursor_ = id
    if (!channel || !id || atOrBelow(id, this.#places.get(channel))) return
    const watched = channel.startsWith('$presence/') ? channel.slice(10) : ''
    const handle = this.#channels.get(watched || wireName(channel))
    if (!handle) return
    this.#places.set(channel, id)
    attach.used_ = true
    if (watched) {
      if (type === 'event') handle.presence_event_(/** @type {string} */ (frame.name), frame.data)
      else handle.reload_().catch(() => {})
    } else if (type === 'event') {
      const { data, name = 'message', from, time = 0 } = frame
      handle.message_({ data, name, id, from, time, channel, via: attach.transport_ })
    } else handle.tell_('gap', { after: frame.after, reason: frame.reason, id, channel })
  }

  /** @param {Attach} attach @param {Frame} frame */
  #bye(attach, frame) {
    const code = frame.code ?? 0
    attach.close_()
    if (code === 3003) this.#token = undefined
    if (code === 3501) return this.#unauthorized(attach, new TriwayError('unauthorized', frame.reason ?? ''))
    if (!frame.reconnect && attach === this.#carrier) return this.#finish('bye', new TriwayError(frame.error?.code ?? 'bye', frame.reason ?? 'bye'))
    this.#gone(attach, { reason: 'bye:' + frame.reason, afterMs: frame.after_ms, planned: true })
  }

  /** @param {Attach} attach @param {any} error */
  #ended(attach, error) {
    attach.close_()
    if (!(error instanceof TriwayError)) return this.#gone(attach, { reason: error ? 'failed' : 'closed' })
    const { status = 0, code, foreign } = error
    if (code === 'unauthorized') return this.#unauthorized(attach, error)
    // The hub's own refusals say that asking again is of no use, but for those of the moment.
    if (!foreign && status >= 400 && status < 500 && status !== 426 && status !== 429) return this.#finish(code, error)
    this.#gone(attach, { reason: code, afterMs: error.retryAfterMs })
  }

  /** @param {Attach} attach @param {{reason: string, afterMs?: number, planned?: boolean}} fact */
  #gone(attach, fact) {
    this.#attaches.delete(attach.id_)
    if (attach === this.#carrier) {
      this.#carrier = undefined
      this.#sending.way_(null)
      this.#toTransport(null, `${attach.transport_}:${fact.reason}`)
    }
    this.#see({ type: 'end', id: attach.id_, ...fact })
  }

  /** The application is asked for a new token once. @param {Attach} attach @param {TriwayError} error */
  #unauthorized(attach, error) {
    if (this.#tokenRefused || typeof this.#options.token !== 'function') return this.#finish('unauthorized', error)
    this.#tokenRefused = true
    this.#token = undefined
    this.#gone(attach, { reason: 'unauthorized', afterMs: 0, planned: true })
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
    return [...this.#channels.values()].some((channel) => channel.presence_)
  }

  /** Names that should be read now. */
  #wanted() {
    const names = []
    for (const channel of this.#channels.values()) {
      names.push(channel.name)
      if (channel.presence_) names.push('$presence/' + channel.name)
    }
    return names
  }

  /** Soon brings what is read in line with what is wanted. */
  #sync() {
    if (this.#syncing) return
    this.#syncing = true
    queueMicrotask(() => {
      this.#syncing = false
      const carrier = this.#carrier
      const wanted = this.#wanted()
      const { covered_: covered = new Set() } = carrier ?? {}
      const fresh = wanted.filter((name) => !covered.has(name))
      const stale = [...covered].filter((name) => !wanted.includes(name))
      if (!carrier || (!fresh.length && !stale.length)) return
      const inPlace = carrier.socket_ && (!this.#showsPresence() || carrier.plan_.params.presence)
      if (!inPlace) return this.#see({ type: 'reopen' })
      for (const name of stale) {
        covered.delete(name)
        carrier.command_({ type: 'unsubscribe', channel: name }, () => {})
      }
      for (const name of fresh) this.#subscribe(carrier, name)
    })
  }

  /** @param {Attach} carrier @param {string} name */
  #subscribe(carrier, name) {
    if (carrier.joining_.has(name)) return
    carrier.joining_.add(name)
    const since = this.#places.get(name) ?? this.#channels.get(name)?.since_
    carrier.command_({ type: 'subscribe', channel: name, since }, ({ ok, error }) => {
      carrier.joining_.delete(name)
      if (ok) carrier.covered_.add(name)
      else {
        const channel = this.#channels.get(name)
        channel?.tell_('error', { error: refusal(/** @type {any} */ (error)) })
        channel?.close()
      }
      this.#sync()
    })
  }

  /** @param {Channel} channel */
  #closeChannel(channel) {
    if (this.#channels.get(channel.name) !== channel) return
    this.#channels.delete(channel.name)
    this.#places.delete(channel.name)
    this.#places.delete('$presence/' + channel.name)
    this.#sync()
  }

  // Requests beside the reading

  /** @param {object} command @param {any} data @param {AbortSignal} [signal] */
  async #publish(command, data, signal) {
    if (this.state === 'closed') throw new TriwayError('closed', 'the hub is closed')
    return this.#sending.push_(command, data, signal)
  }

  /** @param {string} path @param {RequestInit} [init] */
  async #fetch(path, init) {
    const token = await this.#credential()
    const key = this.#line?.session_?.key
    const response = await this.#globals.fetch(this.#base + path + (key ? '?session=' + encodeURIComponent(key) : ''), {
      cache: 'no-store',
      headers: credentials(token),
      ...init,
    })
    if (!response.ok) throw await refused(response)
    return response.json()
  }

  /** @param {string} body */
  #post(body) {
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), POST_MOST_MS)
    return this.#fetch('send', { method: 'POST', body, signal: stop.signal, keepalive: body.length < 30_000 }).finally(() => clearTimeout(timer))
  }

  /** @param {string} channel */
  async #members(channel) {
    await this.ready
    return (await this.#fetch('presence/' + encodeURIComponent(channel))).members
  }

  /** A hello renews the session key; a poll that is not held brings one, whatever carries. */
  async #renew() {
    const line = this.#line
    if (!line?.session_) return
    clearTimeout(this.#renewal)
    this.#renewal = setTimeout(() => this.#renew(), RENEW_MS)
    try {
      const query = `poll?channels=@&since=now&wait=0&nonce=${line.nonce_}&session=${encodeURIComponent(line.session_.key)}`
      const response = await this.#globals.fetch(this.#base + query, { cache: 'no-store', headers: credentials(await this.#credential()) })
      const hello = (await response.json()).frames[0]
      if (hello.session.id === line.session_.id) line.session_ = hello.session
      // The hub no longer knows this session (a restart with another secret): begin anew where we are.
      else this.#see({ type: 'reopen' })
    } catch {
      // The next attach, or the next refusal, renews it.
    }
  }
}
