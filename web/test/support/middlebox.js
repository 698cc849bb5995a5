/**
 * A middlebox between client and hub: a TCP relay that understands just enough HTTP to behave as boxes in real
 * networks do. Its behaviour is plain data, one rule per kind of request, and can change while it runs. It also
 * records the requests, by which the client is judged.
 *
 * It knows nothing of the hub's protocol except the addresses that distinguish the kinds.
 */
import { createServer } from 'node:net'
import { exchange } from './middlebox/exchange.js'
import { framingOf, headerOf, Messages } from './middlebox/http.js'
import { Gate } from './middlebox/gate.js'
import { Link } from './middlebox/link.js'
import { Wire } from './middlebox/wire.js'

/**
 * The behaviour for one kind of request. Everything is off by default.
 * @typedef {object} OwnRule
 * @property {200 | 302 | 511} [captive] answered by a captive portal: a page, a redirect to one, or "log in"
 * @property {number | 'reset'} [refuse] answered with this status, or reset, without the hub
 * @property {number} [refuseNth] only one in this many requests is refused
 * @property {number} [passNth] only one in this many requests is not refused
 * @property {number} [retryAfter] seconds of the refusal's Retry-After
 * @property {301 | 302 | 307 | 308} [redirect] each address is redirected once to itself, with a mark
 * @property {number} [addressMost] a longer address is refused with 414
 * @property {boolean} [halve] only half of a request's body is forwarded
 * @property {'changed' | 'emptied'} [body] of a request, as the middlebox forwards it
 * @property {number} [queryMost] only this many characters of an address's query are forwarded; with 0, the question mark is dropped too
 * @property {string} [demand] requests without this token are refused, with the hub's own message
 * @property {boolean} [swallow] accepted, but never answered or forwarded
 * @property {string[]} [strip] header names in lower case that are dropped; `unknown` drops all but the plainest
 * @property {boolean} [duplicate] forwarded twice at once; the first response counts
 * @property {'url' | 'path' | number} [cache] responses are cached: by address, by address without its query, or one in this many regardless of the address
 * @property {number} [lateMs] the response is delayed by this time
 * @property {number} [lose] one in this many responses is lost, after the hub acted
 * @property {import('./middlebox/holding.js').Hold} [hold] of the response's body
 * @property {number} [holdAfterMs] holding begins this long after the response
 * @property {number} [holdAfterBytes] holding begins after this many bytes
 * @property {number} [lagMs] each piece of the response, including the head, is delayed by this time
 * @property {string} [poison] a response that contains this text is cut there
 * @property {boolean} [hideEnd] the client is never told that the hub ended the response
 * @property {number} [bytesMost] cut after this many bytes of the response
 * @property {'up' | 'down' | 'both'} [mute] after a 101, nothing passes in this direction
 * @property {number} [muteAfterMs] muteness begins this long after the 101
 * @property {number} [ageMs] cut after this time, even if bytes pass
 * @property {number} [idleMs] cut if nothing passed for this time
 * @property {number} [tearMs] the first piece after this time is cut in its middle
 * @property {'end' | 'reset' | number} [cutAs] how a cut looks; a status only if no head was sent yet
 *
 * @typedef {OwnRule & import('./middlebox/altering.js').AlterRule & import('./middlebox/frames.js').FrameRule} Rule
 * What all connections share: a delay in each direction and the share by which it varies, a rate towards clients,
 * a link that is equally slow in both directions and has a bounded queue, and how many connections get through at
 * a time.
 * @typedef {{delayMs?: number, jitter?: number, bytesPerSecond?: number, link?: import('./middlebox/link.js').LinkRule, atOnce?: number}} Shared
 * @typedef {Partial<Record<Kind | 'all' | 'options', Rule>> & Shared} Rules
 */

/**
 * @typedef {'ws' | 'sse' | 'poll' | 'post' | 'publish' | 'other'} Kind `publish` is by GET
 * @typedef {{at: number, kind: Kind, method: string, url: string, what: string}} Asked `what` the middlebox did instead of forwarding it
 */

/**
 * Limit of a body, in bytes. Bodies are kept whole before they are forwarded; this is more than any batch of the
 * client.
 */
const BODY_MOST = 32 * 1024 * 1024

export class Middlebox {
  /** @type {Asked[]} */
  asked = []
  /** Cached responses, by address. @type {Map<string, Buffer>} */
  kept = new Map()
  /** The number of cuts by age or idleness. */
  cuts = 0
  /** Duplicates of requests that are in flight. @type {Set<Wire>} */
  copies = new Set()
  /** Counters of the rules' "one in this many", by kind. @type {Record<string, number>} */
  counts = {}
  /** Shared by all connections. */
  links = { down: new Link(), up: new Link() }
  gate = new Gate()
  /** Receives the hub's responses before they are changed. @type {((request: Request, bytes: Buffer) => void) | undefined} */
  tap
  /** Returns files that the middlebox serves itself, by the path of the address. @type {((path: string) => Buffer | undefined) | undefined} */
  serve
  /** @type {Rules} */
  #rules = {}
  /** @type {Set<Connection>} */
  #connections = new Set()
  #server
  #delayMs = 0
  #jitter = 0

  /** @param {{port: number, host?: string}} target */
  constructor(target) {
    this.target = target
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#connections.add(new Connection(this, new Wire(socket, this.#delayMs, true, this.links, this.#jitter))))
  }

  /** @param {{port: number, host?: string}} target @param {Rules} [rules] */
  static async start(target, rules = {}) {
    const box = new Middlebox(target)
    box.set(rules)
    await new Promise((resolve) => box.#server.listen(0, '127.0.0.1', () => resolve(0)))
    return box
  }

  get port() {
    return /** @type {import('node:net').AddressInfo} */ (this.#server.address()).port
  }

  get address() {
    return `http://127.0.0.1:${this.port}/`
  }

  /**
   * Replaces all rules. Muteness and holding also apply to responses in flight; the delay (in ms, in each
   * direction) applies to new connections.
   * @param {Rules} rules
   */
  set({ delayMs = 0, jitter = 0, bytesPerSecond = 0, link, atOnce = Infinity, ...rules }) {
    this.#rules = rules
    this.#delayMs = delayMs
    this.#jitter = jitter
    this.links.down.set(link ?? { bytesPerSecond })
    this.links.up.set(link ?? { bytesPerSecond: 0 })
    this.gate.set(atOnce)
    this.counts = {}
  }

  /** @param {Kind} kind @param {string} method @returns {Rule} */
  rule(kind, method) {
    return { ...this.#rules.all, ...(method === 'POST' && this.#rules.post), ...(method === 'OPTIONS' && this.#rules.options), ...this.#rules[kind] }
  }

  /** Counts an occurrence, and returns whether it is every `most`-th. @param {string} what @param {number | undefined} most */
  isNth(what, most) {
    if (!most) return false
    this.counts[what] = (this.counts[what] ?? 0) + 1
    return this.counts[what] % most === 0
  }

  /** Returns whether this frame is omitted. @param {Kind} kind @param {string} text @param {import('./middlebox/blocks.js').Omit} omit */
  leavesOut(kind, text, { of = '"type":"event"', every = 1, most = Infinity }) {
    const left = this.counts['left out ' + kind] ?? 0
    if (left >= most || !text.includes(of) || !this.isNth('frame ' + kind, every)) return false
    this.counts['left out ' + kind] = left + 1
    return true
  }

  /** Cuts open connections. @param {Kind} [kind] all kinds by default */
  cut(kind) {
    for (const connection of this.#connections) if (!kind || connection.kind === kind) connection.client.destroy()
  }

  /** Makes open connections silent forever, without ending them. Later connections work. */
  deaden() {
    for (const { client } of this.#connections) client.deaden()
  }

  /** Makes open connections silent for this time; then they continue. @param {number} ms */
  stall(ms) {
    for (const { client } of this.#connections) client.stall(ms)
  }

  /** Returns how many connections of this kind are open. @param {Kind} kind */
  open(kind) {
    return [...this.#connections].filter((connection) => connection.kind === kind).length
  }

  /** @param {Connection} connection */
  forget(connection) {
    this.#connections.delete(connection)
  }

  async stop() {
    this.cut()
    for (const copy of this.copies) copy.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** @typedef {{head: import('./middlebox/http.js').Head, body: Buffer, method: string, url: string, kind: Kind}} Request */

/** One connection of a client. It handles its requests one after the other. */
class Connection {
  /** The kind of the request in flight. @type {Kind | undefined} */
  kind
  /** Receives the client's events for the request in flight. @type {{onData?: (bytes: Buffer) => void, onEnd: () => void} | undefined} */
  #exchange
  /** A request is in flight, or waits at the gate. */
  #isBusy = false
  /** @type {Request[]} */
  #waiting = []

  /** @param {Middlebox} box @param {Wire} client */
  constructor(box, client) {
    this.box = box
    this.client = client
    /** @type {import('./middlebox/http.js').Head} */
    let head
    /** @type {Buffer[]} */
    let body = []
    const messages = new Messages(
      (found) => {
        head = found
        body = []
        if (!isUpgrade(head)) return framingOf(head, 'none')
        // An Upgrade has no end: its head alone is the request.
        this.#next(requestOf(head, Buffer.alloc(0)))
        return 'raw'
      },
      (bytes) => {
        if (isUpgrade(head)) return this.#exchange?.onData?.(bytes)
        body.push(bytes)
        if (body.reduce((sum, piece) => sum + piece.length, 0) > BODY_MOST) this.client.reset()
      },
      () => this.#next(requestOf(head, Buffer.concat(body))),
    )
    this.client.onData = (bytes) => {
      try {
        messages.push(bytes)
      } catch {
        this.client.reset()
      }
    }
    this.client.onEnd = () => {
      box.forget(this)
      box.gate.leave(this)
      this.#exchange?.onEnd()
      this.client.destroy()
    }
  }

  /** @param {Request} request */
  #next(request) {
    if (this.#isBusy) return void this.#waiting.push(request)
    this.#isBusy = true
    this.kind = request.kind
    this.box.gate.enter(this, () => this.#begin(request))
  }

  /** @param {Request} request */
  #begin(request) {
    this.#exchange = exchange(this.box, this.client, request, () => {
      this.#exchange = this.kind = undefined
      this.#isBusy = false
      this.box.gate.leave(this)
      const waiting = this.#waiting.shift()
      if (waiting) this.#next(waiting)
    })
  }
}

/** @param {import('./middlebox/http.js').Head} head */
const isUpgrade = (head) => /websocket/i.test(headerOf(head, 'upgrade') ?? '')

/** @param {import('./middlebox/http.js').Head} head @param {Buffer} body @returns {Request} */
function requestOf(head, body) {
  const [method, url] = head.start.split(' ')
  return { head, body, method, url, kind: kindOf(head, method, url) }
}

/** @param {import('./middlebox/http.js').Head} head @param {string} method @param {string} url @returns {Kind} */
function kindOf(head, method, url) {
  if (isUpgrade(head)) return 'ws'
  const [, word] = /\/(sse|poll|send|pub)(?=[/?]|$)/.exec(url.split('?')[0] + '?') ?? []
  if (word === 'sse' || word === 'poll') return word
  if (word) return method === 'GET' ? 'publish' : 'post'
  return 'other'
}
