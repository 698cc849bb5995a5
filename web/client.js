/**
 * The hub as an application uses it: its state, its channels, and the calls on them. Reading is in
 * connection.js, publishing in outbox.js.
 */
import { Channel, emit, ListenerTarget, warn } from './channel.js'
import { Connection } from './connection.js'
import { Credentials } from './credentials.js'
import { closed, consoleText, TriwayError } from './error.js'
import { wireName } from './frame.js'
import { PageSize } from './history.js'
import { HistoryRequests } from './history-requests.js'
import { checkAddress, checkChannel, checkChannelOptions, checkOptions, checkTransport } from './options.js'
import { Outbox } from './outbox.js'
import { watchPage } from './page.js'
import { expired } from './publish-errors.js'
import { Requests } from './requests.js'
import { StarvedTabs } from './starved.js'
import { Subscription } from './subscription.js'
import { isHttp1, Tabs } from './tabs.js'

export { Channel, TriwayError }

/** Prefix of the channel that carries the joins and leaves of another channel. */
const PRESENCE = '$presence/'

/** Time after which the application gets an `error` event with the reason if nothing was reached, in ms. */
const REPORT_MS = 2800

/**
 * @typedef {import('./rungs.js').Transport} Transport
 * @typedef {import('./channel.js').ChannelEventMap} ChannelEventMap
 * @typedef {import('./channel.js').Received} Received
 * @typedef {import('./channel.js').Member} Member
 * @typedef {import('./channel.js').Published} Published
 *
 * @typedef {object} Options
 * @property {string | (() => string | Promise<string>)} [token] a function is called again before its token ends, and when its token was refused
 * @property {'omit' | 'same-origin' | 'include'} [credentials] of requests, as `fetch` takes it: `include` sends cookies to a hub of another origin
 * @property {Transport[]} [transports] allowed; the order is a preference
 * @property {any} [info] JSON, base in presence
 * @property {AbortSignal} [signal] closes the hub
 * @property {number} [heartbeat] seconds
 * @property {boolean} [share] tabs of this origin share one connection. Where it is left out, they do so below WebSocket on HTTP/1.1, if hub, user and `info` are equal
 * @property {number} [timeout] ms that a publish waits through an outage before it rejects; 60,000 by default
 * @property {(key: string, value: any, context?: any) => any} [reviver] of the data of events, as JSON.parse takes it
 * @property {typeof globalThis.fetch} [fetch] if the platform has none, or another one is to be used
 * @property {any} [WebSocket] the same
 *
 * @typedef {'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline' | 'closed'} State
 * @typedef {object} HubEventMap
 * @property {{from: State, to: State, reason: string, error?: TriwayError}} state with the error that ended the hub, or that shows why it is captive
 * @property {{from: Transport | null, to: Transport | null, reason: string}} transport
 * @property {{error: TriwayError}} error a mistake of the application, why nothing was reached for a while after the start, or the refusal that ended the hub
 */

/** An event target whose events are typed. @type {new () => import('./channel.js').Target<HubEventMap>} */
const HubTarget = /** @type {any} */ (ListenerTarget)

export class Hub extends HubTarget {
  /** @type {State} */
  state = 'connecting'
  /** The transport that carries. @type {Transport | null} */
  transport = null
  /** @type {{id: string, user?: string} | null} */
  session = null
  /** Round-trip time in ms, once it was measured. @type {number | undefined} */
  rtt
  /** Resolves with the first proven transport; rejects if the hub ends before. */
  ready = this.#promiseOf('connected')
  /** Settles at the end: resolves after the application's own `close()`, rejects with the hub's error otherwise. */
  closed = this.#promiseOf('closed')
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map()
  /** Why it ended; undefined if the application closed it. @type {TriwayError | undefined} */
  #error
  /** The error of every use after the end. @type {TriwayError | undefined} */
  #endError
  #abort = new AbortController()
  /** Reject the pending questions. @type {Set<(error: any) => void>} */
  #pending = new Set()
  /** @type {Transport[]} */
  #transports
  /** How long publishes and questions wait for an answer, in ms. */
  #timeoutMs
  #connection
  #outbox
  #requests
  #tabs
  #starvedTabs
  /** @type {import('./subscription.js').Context} */
  #context

  /** @param {string | URL} address @param {Options} given */
  constructor(address, given) {
    super()
    const base = checkAddress(address)
    const options = checkOptions(given)
    this.#transports = options.transports
    this.#timeoutMs = options.timeout
    const credentials = new Credentials(options.token, (error) => this.#report(error), async (token) => this.#connection.takeSession(await this.#requests.exchange(token)))
    this.#requests = new Requests(base, fetchWith(options), credentials, () => this.#connection.session, (ms) => this.#onRoundTrip(ms))
    this.#outbox = new Outbox({
      requests: this.#requests,
      timeoutMs: options.timeout,
      transport: () => this.transport,
      isHubThere: () => this.#connection.isHubThere(),
      problem: () => this.#connection.problem,
      report: (fact) => (fact === 'expired' ? this.#connection.renew() : this.#connection.observe(fact)),
      isShared: !!options.share,
    })
    this.#starvedTabs = new StarvedTabs({
      base,
      signal: this.#abort.signal,
      isReading: () => !!this.#connection.carrier,
      onStarvedTab: () => this.#onStarvedTab(),
    })
    const owner = this.#createOwner(options)
    this.#connection = new Connection(owner)
    const errorOf = (/** @type {any} */ problem) => new TriwayError(problem.code, problem)
    // What another tab reports is applied here, but not sent to other tabs.
    this.#tabs = new Tabs({ ...owner, hub: this, connection: this.#connection, errorOf, refuse: (names, error) => this.#refuse(names, error), finish: (why, error) => this.#finish(why, error) })
    this.#context = this.#createContext(options)
    /** Private events for this session and user. */
    this.inbox = this.channel('@')
    this.#begin(options)
  }

  /** @param {ReturnType<typeof checkOptions>} options @returns {import('./connection.js').Owner} */
  #createOwner(options) {
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
      onOpen: (transport) => {
        this.#tabs.onOpen(transport)
        this.#starvedTabs.onOpen(transport)
      },
      onAnswer: () => this.#starvedTabs.onAnswer(),
      onRoundTrip: (ms) => this.#onRoundTrip(ms),
    }
  }

  /** @param {ReturnType<typeof checkOptions>} options @returns {import('./subscription.js').Context} */
  #createContext({ reviver }) {
    const history = new HistoryRequests({ connection: this.#connection, outbox: this.#outbox, requests: this.#requests })
    return {
      publish: (command, signal) => this.#publish(command, signal),
      presence: (name) => this.#request('presence', name),
      leave: (channel) => this.#leave(channel),
      history: (name, since, bytes) => history.page(name, since, bytes),
      pageSize: new PageSize(),
      isOver: () => this.state === 'closed',
      isShared: (name) => (this.#subscriptions.get(name)?.handles.size ?? 0) > 1,
      via: () => this.transport,
      cursor: () => this.#connection.position?.cursor,
      realNames: (name) => (name === '@' ? (this.#connection.position?.session?.inboxes ?? []) : [name]),
      reviver,
    }
  }

  /** @param {import('./subscription.js').Publish} command @param {AbortSignal} [signal] */
  #publish({ channel, head, data, sizeBefore }, signal) {
    const joined = this.#connection.position && !channel.startsWith('@') && this.#subscriptions.get(channel)?.joined()
    // It may reject before the outbox awaits it.
    if (data instanceof Promise) data.catch(() => {})
    const size = data instanceof Promise ? sizeBefore : data.size
    return this.#outbox.publish({ head, data: joined ? joined.then(() => data) : data, sizeBefore: size }, signal)
  }

  /** @param {State} state @returns {Promise<void>} */
  #promiseOf(state) {
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
    // A failure of `token` was reported already.
    const timer = setTimeout(() => {
      const { position, problem } = this.#connection
      if (!position && problem?.kind !== 'token') this.#report(this.#connection.unavailable())
    }, REPORT_MS)
    this.#abort.signal.addEventListener('abort', () => clearTimeout(timer))
    // In a microtask, so that the first attachment includes the channels that are opened after `connect`.
    queueMicrotask(() => this.state !== 'closed' && this.#tabs.start())
  }

  /** Another tab finds no free connection. A stream or held poll of this tab ends; WebSocket, short polls and HTTP/2 do not block other tabs. */
  #onStarvedTab() {
    const { carrier } = this.#connection
    if (carrier && carrier.transport !== 'ws' && carrier.step.pause === undefined && isHttp1(this.#requests.base)) this.#connection.observe('starved')
  }

  /** @param {number} ms */
  #onRoundTrip(ms) {
    this.rtt = ms
    this.#starvedTabs.onAnswer()
    this.#connection.observe('rtt', { ms })
  }

  /** @param {'state' | 'transport'} what @param {any} to @param {string} reason @param {TriwayError} [error] */
  #change(what, to, reason, error) {
    const from = this[what]
    if (from === to || this.state === 'closed') return
    this[what] = /** @type {never} */ (to)
    emit(this, what, { from, to, reason, error })
  }

  /** Reports an error that does not end the hub. @param {TriwayError} error */
  #report(error) {
    warn(this, error)
    emit(this, 'error', { error })
  }

  /** Hands a frame to its channel; frames of a presence channel also go to the channel that it is about. @param {import('./frame.js').Frame} frame @param {Transport | null} via */
  #receive(frame, via) {
    const { channel = '' } = frame
    this.#subscriptions.get(wireName(channel))?.receive(frame, via)
    if (channel.startsWith(PRESENCE)) this.#subscriptions.get(channel.slice(PRESENCE.length))?.receive(frame, via)
  }

  /** @param {string} path @param {string} name @returns {Promise<any>} */
  #request(path, name) {
    return new Promise((resolve, reject) => {
      this.#pending.add(reject)
      const timer = setTimeout(() => reject(expired(this.#connection.problem, this.#timeoutMs, this.transport, false)), this.#timeoutMs)
      this.ready
        .then(() => this.#requests.request(path, { channels: name }))
        .catch((error) => {
          if (error.code !== 'session_expired') throw error
          return this.#connection.renewed().then(() => this.#requests.request(path, { channels: name }))
        })
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer)
          this.#pending.delete(reject)
        })
    })
  }

  /**
   * Opens a channel. Each handle belongs to the code that opened it; handles of one channel share its events.
   * @param {string} name
   * @param {{since?: string, presence?: boolean}} [options] where to begin: now, all, last:20, 10m, or an event's id; and whether this session is shown as a member, and joins and leaves are reported
   * @returns {Channel}
   * @throws {TriwayError} `bad_channel`, `bad_cursor` or `bad_option`
   */
  channel(name, options = {}) {
    checkChannel(name)
    checkChannelOptions(name, options)
    // The inbox of this session has a real name, too.
    const wire = this.#connection.position?.session?.inboxes?.includes(name) ? '@' : name
    const handle = new Channel(name, options, this.#context, wire)
    if (this.state === 'closed') {
      // Not at once: an application that then opens the channel again must not spin.
      setTimeout(() => handle.end(this.#error, this.#endError))
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

  /** The hub refused these channels; the others are not affected. @param {string[]} names @param {any} error */
  #refuse(names, error) {
    const refusal = error instanceof TriwayError ? error : new TriwayError(error?.code ?? '', error)
    for (const name of names) {
      this.#subscriptions.get(name)?.end(refusal)
      // Handles without presence are not affected.
      const base = name.startsWith(PRESENCE) ? this.#subscriptions.get(name.slice(PRESENCE.length)) : undefined
      for (const handle of [...(base?.handles ?? [])]) if (handle.presence) handle.end(refusal)
    }
  }

  /**
   * Changes the transport by hand, or back to the ladder's choice.
   * @param {Transport | 'auto'} transport
   * @throws {TriwayError} `bad_option`, if it is not among the hub's transports
   */
  use(transport) {
    if (this.#endError) return warn(this, this.#endError, '`use`: ')
    checkTransport(transport, this.#transports)
    this.#connection.sharing?.use(transport)
    this.#connection.use(transport)
  }

  /** Requests a new token and attaches again with it, without a gap: for rights that have just changed. */
  renew() {
    if (this.#endError) return warn(this, this.#endError, '`renew`: ')
    this.#connection.renew()
  }

  /** What was tried, observed and chosen, and why: as data, and as text by String(report). @returns {Promise<import('./report.js').Report>} */
  async report() {
    const { report } = await import('./report.js')
    const { state, transport, rtt } = this
    return report({ state, transport, rtt, log: this.#connection.log, learned: this.#connection.learned })
  }

  /** Ends the hub: queued publishes are rejected, and loops over events end. */
  close() {
    this.#connection.leave()
    this.#finish('closed')
  }

  /** @param {string} why @param {TriwayError} [error] why the hub ended; none if the application closed it */
  #finish(why, error) {
    if (this.state === 'closed') return
    this.#error = error
    const endError = (this.#endError = error ?? closed('hub'))
    this.#abort.abort()
    this.#connection.end(why)
    // Also if another tab read for this one.
    this.#change('transport', null, why)
    this.#outbox.close(endError)
    this.#requests.close()
    for (const reject of [...this.#pending]) reject(endError)
    this.#change('state', 'closed', why, endError)
    for (const subscription of [...this.#subscriptions.values()]) subscription.end(error)
    if (!error) return
    console.error(consoleText(error))
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

/** The application's fetch, with its mode for cookies. @param {ReturnType<typeof checkOptions>} options @returns {typeof globalThis.fetch} */
function fetchWith({ fetch, credentials }) {
  return credentials ? (address, init) => fetch(address, { ...init, credentials }) : fetch
}
