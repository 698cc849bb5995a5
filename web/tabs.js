/**
 * Whether tabs of one browser share one connection, and from when on: at once if the application sets
 * `share`; otherwise if a transport other than WebSocket carries on HTTP/1.1, where a browser has six
 * connections to a hub for all its tabs. How they share is in share.js, which is loaded when it may be needed.
 */

import { NEAR_MS } from './round-trip.js'

/** @typedef {import('./rungs.js').Transport} Transport */

/**
 * @typedef {object} More
 * @property {import('./client.js').Hub} hub
 * @property {import('./connection.js').Connection} connection
 * @property {(problem: any) => import('./error.js').TriwayError} errorOf
 * @typedef {import('./connection.js').Owner & More} Host what sharing uses of the hub
 */

/** Loads the part. */
const load = () => import('./share.js').catch(() => undefined)

/** Whether the browser has what sharing needs: there are no Web Locks on plain http, except on localhost. */
const canShare = () => !!globalThis.navigator?.locks && !!globalThis.BroadcastChannel

/** Whether the hub is reached by HTTP/1.1. If the browser does not say, it counts as HTTP/1.1. @param {string} base */
export function isHttp1(base) {
  const entries = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType('resource'))
  return !entries.some(({ name, nextHopProtocol }) => name.startsWith(base) && /^h[23]/.test(nextHopProtocol))
}

export class Tabs {
  #host
  #isEntering = false
  #isPrepared = false
  /** Resolves when no publish with a number of this session waits for its answer. @type {Promise<void> | undefined} */
  #prepared

  /** @param {Host} host */
  constructor(host) {
    this.#host = host
    const { hub } = host
    if (this.#maySoon()) hub.addEventListener('transport', () => this.#share())
  }

  /** Begins to read, unless another tab may read for this one. */
  start() {
    const { options, connection } = this.#host
    if (!options.share || !canShare()) return connection.start()
    connection.isParked = true
    this.#shareAtOnce()
  }

  async #shareAtOnce() {
    const { hub, connection, requests, options } = this.#host
    const part = await load()
    const identity = await part?.identityOf(requests.credentials)
    if (hub.state === 'closed') return
    if (!part) return connection.start()
    connection.sharing = new part.Sharing(this.#host, false)
    connection.sharing.enter([requests.base, options.transports, options.infoJson, identity])
  }

  /**
   * An attempt begins. If it is no WebSocket, the part is loaded before streams use up all connections. On a network
   * that may be slow it is loaded only when the attempt carries, since loading would delay the proof. From now on
   * each publish has a key of its own, so that another tab can send it again.
   * @param {Transport} transport
   */
  onOpen(transport) {
    if (transport === 'ws' || !this.#maySoon() || this.#isPrepared) return
    this.#isPrepared = true
    const { hub } = this.#host
    if (hub.rtt !== undefined && hub.rtt <= NEAR_MS) load()
    this.#prepared = this.#host.outbox.share()
  }

  /** Sharing by default may begin. */
  #maySoon() {
    return this.#host.options.share == null && canShare() && !!globalThis.location
  }

  /** The transport has changed, and sharing by default may begin. */
  async #share() {
    const { hub, connection } = this.#host
    const isBelow = () => hub.transport && hub.transport !== 'ws'
    if (this.#isEntering || !isBelow() || !isHttp1(this.#host.requests.base) || connection.sharing?.role === 'follows') return
    this.#isEntering = true
    const [part] = await Promise.all([load(), this.#prepared])
    this.#isEntering = false
    if (!part || !isBelow() || hub.state === 'closed') return
    const { requests, options } = this.#host
    const { user } = hub.session ?? {}
    connection.sharing ??= new part.Sharing(this.#host, true)
    connection.sharing.enter([requests.base, options.transports, options.infoJson, { user }])
  }
}
