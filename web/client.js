/**
 * The hub as the page sees it: its state, its channels, and what an application does with them. Reading is in
 * connection.js, sending in outbox.js.
 */
import { Channel, emit, Heard, warn } from './channel.js'
import { Connection } from './connection.js'
import { Credentials } from './credentials.js'
import { closed, lineOf, TriwayError } from './error.js'
import { wireName } from './frame.js'
import { PageSize } from './history.js'
import { checkAddress, checkChannel, checkChannelOptions, checkOptions, checkTransport } from './options.js'
import { Outbox } from './outbox.js'
import { watchPage } from './page.js'
import { expired } from './publish-errors.js'
import { Requests } from './requests.js'
import { Starved } from './starved.js'
import { Subscription } from './subscription.js'
import { isHttp1, Tabs } from './tabs.js'

export { Channel, TriwayError }

/** Channels on which joins and leaves of another are told begin like this. */
const PRESENCE = '$presence/'

/** An application is told why nothing was reached yet, after so many ms. */
const REPORT_MS = 2800

/**
 * @typedef {import('./cuts.js').Transport} Transport
 * @typedef {import('./channel.js').ChannelEventMap} ChannelEventMap
 * @typedef {import('./channel.js').Received} Received
 * @typedef {import('./channel.js').Member} Member
 * @typedef {import('./channel.js').Published} Published
 *
 * @typedef {object} Options
 * @property {string | (() => string | Promise<string>)} [token] a function is called again when its token was refused or has expired
 * @property {Transport[]} [transports] allowed; the order is a preference
 * @property {any} [info] JSON, shown in presence
 * @property {AbortSignal} [signal] closes the hub
 * @property {number} [heartbeat] seconds
 * @property {boolean} [share] tabs of this origin share one connection. Where it is left out, they do so below WebSocket on HTTP/1.1, if hub, user and `info` are equal
 * @property {number} [timeout] ms that a publish waits through an outage until it rejects; 60,000 by default
 * @property {(key: string, value: any, context?: any) => any} [reviver] of the data of events, as JSON.parse takes it
 * @property {typeof globalThis.fetch} [fetch] where the platform has none, or another is wanted
 * @property {any} [WebSocket] the same
 *
 * @typedef {'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline' | 'closed'} State
 * @typedef {object} HubEventMap
 * @property {{from: State, to: State, reason: string, error?: TriwayError}} state with the error that ended it, or why it is captive
 * @property {{from: Transport | null, to: Transport | null, reason: string}} transport
 * @property {{error: TriwayError}} error a mistake of the application, why nothing was reached for a while after the start, or the refusal that ended the hub
 */

/** An event target whose events are typed. @type {new () => import('./channel.js').Target<HubEventMap>} */
const HubTarget = /** @type {any} */ (Heard)

export class Hub extends HubTarget {
  /** @type {State} */
  state = 'connecting'
  /** The transport that carries. @type {Transport | null} */
  transport = null
  /** @type {{id: string, user?: string} | null} */
  session = null
  /** Round-trip time in ms, once it was measured. @type {number | undefined} */
  rtt
  /** Resolves with the first proven transport; rejects where the hub ends before. */
  ready = this.#when('connected')
  /** Settles at the end: resolves after the application's own `close()`, rejects with the hub's error otherwise. */
  closed = this.#when('closed')
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map()
  /** Why it ended, where it was not closed by its owner. @type {TriwayError | undefined} */
  #error
  /** What is said to those who use it after its end. @type {TriwayError | undefined} */
  #last
  #abort = new AbortController()
  /** Reject what waits for an answer. @type {Set<(error: any) => void>} */
  #pending = new Set()
  /** @type {Transport[]} */
  #transports
  /** How long publishes and questions wait. */
  #timeoutMs
  #connection
  #outbox
  #requests
  #tabs
  #starved
  /** @type {import('./subscription.js').Context} */
  #context

  /** @param {string | URL} address @param {Options} given */
  constructor(address, given) {
    super()
    const base = checkAddress(address)
    const options = checkOptions(given)
    this.#transports = options.transports
    this.#timeoutMs = options.timeout
    const credentials = new Credentials(options.token, (error) => this.#report(error))
    this.#requests = new Requests(base, options.fetch, credentials, () => this.#connection.line?.session, (ms) => this.#measured(ms))
    this.#outbox = new Outbox({
      requests: this.#requests,
      timeoutMs: options.timeout,
      transport: () => this.transport,
      isHubThere: () => this.#connection.isHubThere(),
      problem: () => this.#connection.problem,
      tell: (fact) => (fact === 'expired' ? this.#connection.renew() : this.#connection.observe(fact)),
      isShared: !!options.share,
    })
    this.#starved = new Starved({
      base,
      signal: this.#abort.signal,
      isReading: () => !!this.#connection.carrier,
      starve: () => this.#starve(),
    })
    const owner = this.#ownerOf(options)
    this.#connection = new Connection(owner)
    const errorOf = (/** @type {any} */ problem) => new TriwayError(problem.code, problem)
    // Reports of another tab are applied here, but not sent on to other tabs.
    this.#tabs = new Tabs({ ...owner, hub: this, connection: this.#connection, errorOf, refuse: (names, error) => this.#refuse(names, error), finish: (why, error) => this.#finish(why, error) })
    this.#context = this.#contextOf(options)
    /** Private events for this session and user. */
    this.inbox = this.channel('@')
    this.#begin(options)
  }

  /** @param {ReturnType<typeof checkOptions>} options @returns {import('./connection.js').Owner} */
  #ownerOf(options) {
    return {
      options,
      requests: this.#requests,
      outbox: this.#outbox,
      subscriptions: this.#subscriptions,
      receive: (frame, via) => this.#receive(frame, via),
      change: (what, to, reason, error) => this.#change(what, to, reason, error),
      adopt: ({ id, user }) => (this.session = user == null ? { id } : { id, user }),
      finish: (why, error) => {
        this.#connection.sharing?.finished(why, error)
        this.#finish(why, error)
      },
      refuse: (names, error) => {
        this.#connection.sharing?.refused(names, error)
        this.#refuse(names, error)
      },
      opens: (transport) => {
        this.#tabs.opens(transport)
        this.#starved.opens(transport)
      },
      answered: () => this.#starved.answered(),
      measured: (ms) => this.#measured(ms),
    }
  }

  /** @param {ReturnType<typeof checkOptions>} options @returns {import('./subscription.js').Context} */
  #contextOf({ reviver }) {
    return {
      publish: (command, signal) => this.#publish(command, signal),
      presence: (name) => this.#ask('presence', name),
      leave: (channel) => this.#leave(channel),
      history: (name, since, bytes) => this.#connection.history(name, since, bytes),
      pageSize: new PageSize(),
      isOver: () => this.state === 'closed',
      isShared: (name) => (this.#subscriptions.get(name)?.handles.size ?? 0) > 1,
      via: () => this.transport,
      cursor: () => this.#connection.line?.cursor,
      realNames: (name) => (name === '@' ? (this.#connection.line?.session?.inboxes ?? []) : [name]),
      reviver,
    }
  }

  /** @param {import('./subscription.js').Publish} command @param {AbortSignal} [signal] */
  #publish({ channel, head, data, sizeBefore }, signal) {
    const joined = this.#connection.line && !channel.startsWith('@') && this.#subscriptions.get(channel)?.joined()
    // It may fail before it is waited for.
    if (data instanceof Promise) data.catch(() => {})
    const size = data instanceof Promise ? sizeBefore : data.size
    return this.#outbox.publish({ head, data: joined ? joined.then(() => data) : data, sizeBefore: size }, signal)
  }

  /** @param {State} state @returns {Promise<void>} */
  #when(state) {
    const promise = new Promise((resolve, reject) => {
      this.addEventListener('state', (/** @type {any} */ { to, error }) => {
        if (to === state && !this.#error) resolve(undefined)
        else if (to === 'closed') reject(error)
      })
    })
    promise.catch(() => {})
    return promise
  }

  /** @param {ReturnType<typeof checkOptions>} options */
  #begin({ signal }) {
    watchPage(this.#abort.signal, (type) => {
      if (type === 'pause') this.#connection.leave()
      this.#connection.observe(type)
      this.#connection.sharing?.onPage(type)
    })
    if (signal) {
      const close = () => this.close()
      signal.addEventListener('abort', close, { signal: this.#abort.signal })
      if (signal.aborted) return queueMicrotask(close)
    }
    // Of its own `token` an application is told already.
    const timer = setTimeout(() => {
      const { line, problem } = this.#connection
      if (!line && problem?.kind !== 'token') this.#report(this.#connection.absence())
    }, REPORT_MS)
    this.#abort.signal.addEventListener('abort', () => clearTimeout(timer))
    // One tick later, so that the channels opened beside it are in the first attachment.
    queueMicrotask(() => this.state !== 'closed' && this.#tabs.start())
  }

  /** Another tab finds no connection: a stream or held poll of this one ends, unless it uses WebSocket, short polls or HTTP/2. */
  #starve() {
    const { carrier } = this.#connection
    if (carrier && carrier.transport !== 'ws' && carrier.step.pause === undefined && isHttp1(this.#requests.base)) this.#connection.observe('starved')
  }

  /** @param {number} ms */
  #measured(ms) {
    this.rtt = ms
    this.#starved.answered()
    this.#connection.observe('rtt', { ms })
  }

  /** @param {'state' | 'transport'} what @param {any} to @param {string} reason @param {TriwayError} [error] */
  #change(what, to, reason, error) {
    const from = this[what]
    if (from === to || this.state === 'closed') return
    this[what] = /** @type {never} */ (to)
    emit(this, what, { from, to, reason, error })
  }

  /** Something is wrong that ends nothing. @param {TriwayError} error */
  #report(error) {
    warn(this, error)
    emit(this, 'error', { error })
  }

  /** Each frame goes to the channel that it belongs to, and those of its presence to both. @param {import('./frame.js').Frame} frame @param {Transport | null} via */
  #receive(frame, via) {
    const { channel = '' } = frame
    this.#subscriptions.get(wireName(channel))?.receive(frame, via)
    if (channel.startsWith(PRESENCE)) this.#subscriptions.get(channel.slice(PRESENCE.length))?.receive(frame, via)
  }

  /** @param {string} path @param {string} name @returns {Promise<any>} */
  #ask(path, name) {
    return new Promise((resolve, reject) => {
      this.#pending.add(reject)
      const late = setTimeout(() => reject(expired(this.#connection.problem, this.#timeoutMs, this.transport, false)), this.#timeoutMs)
      this.ready
        .then(() => this.#requests.ask(path, { channels: name }))
        .catch((error) => {
          if (error.code !== 'session_expired') throw error
          return this.#connection.renewed().then(() => this.#requests.ask(path, { channels: name }))
        })
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(late)
          this.#pending.delete(reject)
        })
    })
  }

  /**
   * Opens a channel. Each handle belongs to the code that opened it; any number of them share what is read.
   * @param {string} name
   * @param {{since?: string, presence?: boolean}} [options] where to begin: now, all, last:20, 10m, or an event's id; and whether to be shown, and hear who comes and goes
   * @returns {Channel}
   * @throws {TriwayError} `bad_channel`, `bad_cursor` or `bad_option`
   */
  channel(name, options = {}) {
    checkChannel(name)
    checkChannelOptions(name, options)
    // The own inbox by its real name is read as the inbox.
    const wire = this.#connection.line?.session?.inboxes?.includes(name) ? '@' : name
    const handle = new Channel(name, options, this.#context, wire)
    if (this.state === 'closed') {
      // Not at once: an application that opens it again then must not spin.
      setTimeout(() => handle.end(this.#error, this.#last))
      return handle
    }
    let subscription = this.#subscriptions.get(wire)
    if (!subscription) this.#subscriptions.set(wire, (subscription = new Subscription(wire, this.#context)))
    subscription.add(handle)
    this.#connection.sync()
    return handle
  }

  /** @param {Channel} handle */
  #leave(handle) {
    const subscription = this.#subscriptions.get(handle.wire)
    if (!subscription?.handles.has(handle)) return
    if (subscription.remove(handle)) this.#subscriptions.delete(handle.wire)
    if (this.state !== 'closed') this.#connection.sync()
  }

  /** These channels are not to be had; the others go on. @param {string[]} names @param {any} error */
  #refuse(names, error) {
    const refusal = error instanceof TriwayError ? error : new TriwayError(error?.code ?? '', error)
    for (const name of names) {
      this.#subscriptions.get(name)?.end(refusal)
      // Handles that did not ask for presence go on.
      const shown = name.startsWith(PRESENCE) ? this.#subscriptions.get(name.slice(PRESENCE.length)) : undefined
      for (const handle of [...(shown?.handles ?? [])]) if (handle.presence) handle.end(refusal)
    }
  }

  /**
   * Changes the transport by hand, or back to the ladder's choice.
   * @param {Transport | 'auto'} transport
   * @throws {TriwayError} `bad_option`, where it is not among the hub's transports
   */
  use(transport) {
    if (this.#last) return warn(this, this.#last, '`use`: ')
    checkTransport(transport, this.#transports)
    this.#connection.sharing?.use(transport)
    this.#connection.use(transport)
  }

  /** What was tried, seen and chosen, and why: data, and text by String(report). @returns {Promise<import('./report.js').Report>} */
  async report() {
    const { report } = await import('./report.js')
    const { state, transport, rtt } = this
    return report({ state, transport, rtt, log: this.#connection.log, learned: this.#connection.learned })
  }

  /** Ends everything: what waits to be sent is rejected, loops end. */
  close() {
    this.#connection.leave()
    this.#finish('closed')
  }

  /** @param {string} why @param {TriwayError} [error] the hub's last word; none where the application closed it */
  #finish(why, error) {
    if (this.state === 'closed') return
    this.#error = error
    const last = (this.#last = error ?? closed('hub'))
    this.#abort.abort()
    this.#connection.end(why)
    // Also where another tab read for this one.
    this.#change('transport', null, why)
    this.#outbox.close(last)
    this.#requests.close()
    for (const reject of [...this.#pending]) reject(last)
    this.#change('state', 'closed', why, last)
    for (const subscription of [...this.#subscriptions.values()]) subscription.end(error)
    if (!error) return
    console.error(lineOf(error))
    emit(this, 'error', { error })
  }
}

/**
 * Connects to a hub.
 * @param {string | URL} [address] of the hub
 * @param {Options} [options]
 * @returns {Hub}
 * @throws {TriwayError} `bad_address`, `bad_option`, `bad_data` or `too_large`
 */
export const connect = (address = '/', options = {}) => new Hub(address, options)
