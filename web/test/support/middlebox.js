/**
 * A box between client and hub: a TCP relay that understands just enough HTTP to do what boxes in
 * real networks were seen to do. What it does is plain data, one rule per kind of request, and can
 * be changed while it runs. It also counts what is asked, which is what the client is judged by.
 *
 * It does not know the hub's protocol beyond the addresses that tell the kinds apart.
 */
import { createServer } from 'node:net'
import { exchange } from './middlebox/exchange.js'
import { framingOf, headerOf, Messages } from './middlebox/http.js'
import { Gate } from './middlebox/gate.js'
import { Link } from './middlebox/link.js'
import { Wire } from './middlebox/wire.js'

/**
 * What is done to one kind of request. Everything is off unless it is said.
 * @typedef {object} OwnRule
 * @property {200 | 302 | 511} [captive] answered by somebody else: a page, a redirect to one, or "log in"
 * @property {number | 'reset'} [refuse] answered with this status, or cut, without asking the hub
 * @property {number} [refuseNth] only one in so many requests is refused
 * @property {number} [passNth] only one in so many requests is not refused
 * @property {number} [retryAfter] seconds that a refusal asks to wait
 * @property {301 | 302 | 307 | 308} [redirect] each address once to itself, with a mark
 * @property {number} [addressMost] a longer address is refused with 414
 * @property {boolean} [halve] only half of a request's body goes on
 * @property {'changed' | 'emptied'} [body] of a request, as the box hands it on
 * @property {number} [queryMost] so many characters of an address's query go on; with 0 the question mark is lost too
 * @property {string} [demand] requests without this token are refused, in the hub's own words
 * @property {boolean} [swallow] taken, never answered, never handed on
 * @property {string[]} [strip] header names in lower case that are lost; `unknown` is all but the plainest
 * @property {boolean} [duplicate] handed on twice at once; the first answer counts
 * @property {'url' | 'path' | number} [cache] an answer is kept: for the same address, for the same one without its query, or for one in so many whatever the address
 * @property {number} [lateMs] the answer is held back for so long
 * @property {number} [lose] of so many answers one is lost, after the hub acted
 * @property {import('./middlebox/holding.js').Hold} [hold] of the answer's body
 * @property {number} [holdAfterMs] holding begins so long after the answer
 * @property {number} [holdAfterBytes] holding begins when so many have passed
 * @property {number} [lagMs] each piece of the answer is so much later, the head too
 * @property {string} [poison] an answer in which this stands is cut there
 * @property {boolean} [hideEnd] that the hub ended it is never told
 * @property {number} [bytesMost] cut after so many bytes of the answer
 * @property {'up' | 'down' | 'both'} [mute] after a 101 nothing goes on in this direction
 * @property {number} [muteAfterMs] muteness begins so long after the 101
 * @property {number} [ageMs] cut after so long, whatever goes through
 * @property {number} [idleMs] cut when nothing went through for so long
 * @property {number} [tearMs] the first piece after so long is cut in its middle
 * @property {'end' | 'reset' | number} [cutAs] how a cut looks; a status where no head went out yet
 *
 * @typedef {OwnRule & import('./middlebox/altering.js').AlterRule & import('./middlebox/frames.js').FrameRule} Rule
 * What holds for all: a delay each way and the share by which it varies, a rate towards clients, a link that
 * is as slow in both directions and has a bounded queue, and how many connections get through at a time.
 * @typedef {{delayMs?: number, jitter?: number, bytesPerSecond?: number, link?: import('./middlebox/link.js').LinkRule, atOnce?: number}} Shared
 * @typedef {Partial<Record<Kind | 'all' | 'options', Rule>> & Shared} Rules
 */

/**
 * @typedef {'ws' | 'sse' | 'poll' | 'post' | 'publish' | 'other'} Kind `publish` is by GET
 * @typedef {{at: number, kind: Kind, method: string, url: string, what: string}} Asked `what` the box did instead of handing it on
 */

/** Bodies are kept whole before they are handed on; more than any batch of the client. */
const BODY_MOST = 32 * 1024 * 1024

export class Middlebox {
  /** @type {Asked[]} */
  asked = []
  /** Answers kept, by address. @type {Map<string, Buffer>} */
  kept = new Map()
  /** How often something was cut by its age or idleness. */
  cuts = 0
  /** Second askings under way. @type {Set<Wire>} */
  copies = new Set()
  /** How often a rule's "one in so many" was counted, by kind. @type {Record<string, number>} */
  counts = {}
  /** Shared by all connections. */
  links = { down: new Link(), up: new Link() }
  gate = new Gate()
  /** Sees what the hub answers, before anything is done to it. @type {((request: Request, bytes: Buffer) => void) | undefined} */
  tap
  /** Files that the box answers by itself, by the path of the address. @type {((path: string) => Buffer | undefined) | undefined} */
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
   * From now on these rules, and no others. Muteness and holding reach what is already under way; the
   * delay (in ms, each way) is that of new connections.
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

  /** Is it the one in `most` that it happens to? @param {string} what @param {number | undefined} most */
  isNth(what, most) {
    if (!most) return false
    this.counts[what] = (this.counts[what] ?? 0) + 1
    return this.counts[what] % most === 0
  }

  /** Is this frame one of those that are left out? @param {Kind} kind @param {string} text @param {import('./middlebox/blocks.js').Omit} omit */
  leavesOut(kind, text, { of = '"type":"event"', every = 1, most = Infinity }) {
    const left = this.counts['left out ' + kind] ?? 0
    if (left >= most || !text.includes(of) || !this.isNth('frame ' + kind, every)) return false
    this.counts['left out ' + kind] = left + 1
    return true
  }

  /** Cuts what is under way. @param {Kind} [kind] all kinds where none is named */
  cut(kind) {
    for (const connection of this.#connections) if (!kind || connection.kind === kind) connection.client.destroy()
  }

  /** What is open goes silent, for good, and nobody is told; what comes later is not. */
  deaden() {
    for (const { client } of this.#connections) client.deaden()
  }

  /** What is open is silent for so long, then goes on. @param {number} ms */
  stall(ms) {
    for (const { client } of this.#connections) client.stall(ms)
  }

  /** How many connections of this kind are open. @param {Kind} kind */
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

/** One connection of a client: its requests, one after the other. */
class Connection {
  /** Of the request that is under way. @type {Kind | undefined} */
  kind
  /** What the one under way wants to hear of its client. @type {{onData?: (bytes: Buffer) => void, onEnd: () => void} | undefined} */
  #exchange
  /** A request is under way, or waits at the gate. */
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
        // What is upgraded has no end: its head alone is the request.
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
