/**
 * A network, a hub and a browser under a virtual clock. They drive a ladder through a connect as the connection of
 * the client does, with round trips, jitter, cold and warm connections, and middleboxes. There is no socket and no
 * real time, so a thousand connects take a second.
 */

/**
 * Seconds between heartbeats; times of the lone pings after hello, in ms; time of the ping after a burst of events,
 * in ms.
 */
const BEAT_S = 15
const PROBES_MS = [150, 5000]
const BURST_PING_MS = 1000
/** Connections per origin on HTTP/1.1. */
const CONNECTIONS_MOST = 6
/** The time limit of a check, in ms. */
const CHECK_MS = 2500

/** Returns a random generator with a seed, so that runs can be reproduced. @param {number} seed */
export function seeded(seed) {
  let state = seed * 2_654_435_761 + 1
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * @typedef {object} Path
 * @property {number} [rtt] ms
 * @property {number} [jitter] share by which each trip varies, uniformly
 * @property {boolean} [tls]
 * @property {boolean} [http2]
 * @property {boolean} [warm] the page came from the hub, so one connection is already open
 * @property {'ok' | 'refused' | 'swallowed' | 'lag-one' | 'deaf' | 'no-probe'} [ws]
 * @property {'ok' | 'refused' | 'held' | 'body-held' | 'lag-one'} [sse]
 * @property {'ok' | 'refused'} [poll]
 * @property {'ok' | 'swallowed'} [check]
 * @property {boolean} [old] the hub is an older build: it sends lone pings only on streams, after hello
 * @property {number} [workMs] time that the hub needs to accept an attachment
 */

export class VirtualNetwork {
  now = 0
  /** The interval to which timers are throttled, in ms. 0 for exact timers. */
  throttleMs = 0
  /** @type {{at: number, run: () => void}[]} */
  #events = []
  #closed = new Set()
  #connections = 0
  /** Attempts whose request has a connection. */
  #busy = new Set()
  /** The number of idle connections. */
  #idle = 0
  /** HTTP/2: when its single connection is ready. @type {number | undefined} */
  #readyAt
  /** The steps of the ladder, with their times. @type {any[]} */
  log = []
  /** Functions that send frames of the hub, by attempt. Tests publish with them. @type {Map<number, (frame: any, type?: string) => void>} */
  senders = new Map()

  /** @param {{observe: Function, wakeAt: number}} ladder @param {() => number} random @param {Path} path */
  constructor(ladder, random, path) {
    this.ladder = ladder
    this.random = random
    this.path = { rtt: 20, jitter: 0.2, tls: false, http2: false, warm: false, ws: 'ok', sse: 'ok', poll: 'ok', check: 'ok', old: false, workMs: 2, ...path }
    if (this.path.warm) {
      this.#idle = this.#connections = 1
      this.#readyAt = 0
    }
  }

  /** Returns the time of a one-way trip. */
  #trip() {
    const { rtt, jitter } = this.path
    return (rtt / 2) * (1 + jitter * (2 * this.random() - 1))
  }

  #handshake() {
    const trips = this.path.tls ? 4 : 2
    let ms = 0
    for (let trip = 0; trip < trips; trip++) ms += this.#trip()
    return ms
  }

  /** @param {number} ms @param {() => void} run */
  after(ms, run) {
    this.#events.push({ at: this.now + ms, run })
  }

  /** @param {string} type @param {any} [fact] */
  observe(type, fact) {
    if (fact?.id && this.#closed.has(fact.id)) return
    if (type === 'ended') this.#close(fact.id)
    for (const step of this.ladder.observe(this.now, type, fact)) {
      this.log.push({ at: this.now, ...step })
      if (step.do === 'open') this.#open(step)
      else if (step.do === 'close') this.#close(step.id)
      else if (step.do === 'check') this.#check()
    }
  }

  /** Runs for this time, or until the condition holds. @param {number} ms @param {() => boolean} [until] */
  run(ms, until = () => false) {
    const end = this.now + ms
    for (let turns = 0; !until(); turns++) {
      if (turns > 50_000) throw new Error('the ladder spins')
      this.#events.sort((one, other) => one.at - other.at)
      const tickAt = this.#tickAt()
      const at = Math.min(this.#events[0]?.at ?? Infinity, tickAt)
      if (at > end) break
      this.now = Math.max(this.now, at)
      if (this.#events[0]?.at <= at) /** @type {any} */ (this.#events.shift()).run()
      else this.observe('tick')
    }
    if (!until()) this.now = end
    return this
  }

  /** Returns when the timer runs. In a hidden page, timers run only at fixed times. */
  #tickAt() {
    const { wakeAt } = this.ladder
    return this.throttleMs && wakeAt < Infinity ? Math.ceil(Math.max(wakeAt, this.now) / this.throttleMs) * this.throttleMs : wakeAt
  }

  /** Suspends the machine: nothing runs, and everything in flight is lost. @param {number} ms */
  sleep(ms) {
    this.now += ms
    this.#events = this.#events.filter(({ at }) => at > this.now)
    return this
  }

  /** Freezes the page. Everything that arrives meanwhile waits, and the timer runs first. @param {number} ms */
  freeze(ms) {
    this.now += ms
    this.observe('tick')
    return this
  }

  /** Closes an attempt that the page gave up. On HTTP/1.1, this closes its connection. @param {number} id */
  #close(id) {
    this.#closed.add(id)
    if (this.#busy.delete(id)) this.#connections--
  }

  // Requests.

  /** Calls `arrive` when a request reaches the hub. @param {() => void} arrive @param {number} [id] of the attempt @returns {() => void} frees the connection */
  #request(arrive, id = 0) {
    if (this.path.http2) {
      if (this.#readyAt === undefined) this.#readyAt = this.now + this.#handshake()
      this.after(Math.max(0, this.#readyAt - this.now) + this.#trip(), arrive)
      return () => {}
    }
    const isWarm = this.#idle > 0
    if (!isWarm && this.#connections >= CONNECTIONS_MOST) return () => {}
    if (isWarm) this.#idle--
    else this.#connections++
    if (id) this.#busy.add(id)
    this.after((isWarm ? 0 : this.#handshake()) + this.#trip(), arrive)
    return () => {
      if (!id || this.#busy.delete(id)) this.#idle++
    }
  }

  #check() {
    const sentAt = this.now
    let isOver = false
    const free = this.#request(() => {
      if (this.path.check === 'swallowed') return
      this.after(this.#trip(), () => {
        free()
        if (isOver) return
        isOver = true
        this.observe('rtt', { ms: this.now - sentAt })
        this.observe('checked', { ok: true, ms: this.now - sentAt })
      })
    })
    this.after(CHECK_MS, () => {
      if (!isOver) this.observe('checked', {})
      isOver = true
    })
  }

  /** @param {any} step */
  #open(step) {
    if (step.transport === 'ws') this.#openWs(step)
    else if (step.transport === 'sse') this.#openSse(step)
    else this.#openPoll(step)
  }

  // Attachments.

  /** @param {any} step */
  #openWs({ id, beat }) {
    const { ws, workMs } = this.path
    this.after(this.#handshake() + this.#trip(), () => {
      if (ws === 'swallowed') return
      if (ws === 'refused') return this.after(this.#trip(), () => this.observe('ended', { id, why: 'refused' }))
      this.after(workMs, () => {
        const send = this.#downstream(id, () => this.path.ws === 'lag-one', (frame) => this.#onWsFrame(id, frame, ws, send))
        this.#attach(id, beat, send, true)
      })
    })
  }

  /** @param {number} id @param {any} frame @param {string} ws @param {(frame: any) => void} send */
  #onWsFrame(id, frame, ws, send) {
    if (frame.type === 'reply') {
      const ms = this.now - frame.sentAt
      // As in the connection: another attempt carries, and it measures the round trip to the hub.
      const { carrier } = this.ladder.attempts
      if (!carrier || carrier.id === id) this.observe('rtt', { ms })
      this.observe('proof', { id, ms })
      return
    }
    this.#onFrame(id, frame, true)
    const sentAt = this.now
    if (frame.type === 'hello' && ws !== 'deaf') this.after(this.#trip(), () => send({ type: 'reply', sentAt }))
  }

  /** @param {any} step */
  #openSse({ id, beat }) {
    const { sse, workMs } = this.path
    const free = this.#request(() => {
      if (sse === 'held') return
      if (sse === 'refused') return this.after(this.#trip(), () => (free(), this.observe('ended', { id, why: 'http_403', foreign: true })))
      const send = this.#downstream(id, () => this.path.sse === 'lag-one', (frame) => this.#onFrame(id, frame, false))
      this.after(workMs, () => {
        send({ type: 'head' }, true)
        if (sse !== 'body-held') this.#attach(id, beat, send, false)
      })
    }, id)
  }

  /** Opens a poll. The first response arrives at once, the next ones after `wait`. @param {any} step */
  #openPoll({ id, wait = 25, pause = 0 }) {
    const { poll, workMs } = this.path
    const ask = (/** @type {number} */ holdMs) => {
      if (this.#closed.has(id)) return
      const free = this.#request(() => {
        if (poll === 'refused') return this.after(this.#trip(), () => (free(), this.observe('ended', { id, why: 'http_403', foreign: true })))
        this.after(holdMs + workMs + this.#trip(), () => {
          free()
          if (!holdMs) this.observe('hello', { id, beat: BEAT_S, network: 'n1', build: 'b1', probes: false })
          this.observe('frame', { id })
          this.observe('proof', { id })
          this.after(pause, () => ask(wait * 1000))
        })
      }, id)
    }
    ask(0)
  }

  /** @param {number} id @param {any} frame @param {boolean} isWs */
  #onFrame(id, { type, time }, isWs) {
    const probes = !this.path.old
    if (type === 'hello') this.observe('hello', { id, beat: BEAT_S, network: 'n1', build: 'b1', ...(probes && { probes }) })
    if (!this.#closed.has(id) && (type !== 'head' || !isWs)) this.observe('frame', { id, time, ping: type === 'ping', event: type === 'event' })
  }

  /**
   * Accepts an attachment: sends hello, lone pings and heartbeats.
   * @param {number} id @param {number} beat @param {(frame: any, isHead?: boolean) => void} send @param {boolean} isWs
   */
  #attach(id, beat = BEAT_S, send, isWs) {
    let lastEventAt = 0
    this.senders.set(id, (frame) => {
      send(frame)
      const at = (lastEventAt = this.now)
      if (!this.path.old) this.after(BURST_PING_MS, () => lastEventAt === at && ping())
    })
    const ping = () => !this.#closed.has(id) && send({ type: 'ping', time: 1_000_000 + this.now })
    send({ type: 'hello' })
    if (isWs ? !this.path.old && this.path.ws !== 'no-probe' : true) for (const ms of PROBES_MS) this.after(ms, ping)
    const heartbeat = () => {
      if (this.#closed.has(id)) return
      ping()
      this.after(beat * 1000, heartbeat)
    }
    this.after(beat * 1000, heartbeat)
  }

  /**
   * Delivers frames to the page in order. A middlebox that lags by one passes each frame with the next one.
   * @param {number} id @param {() => boolean} isLagging @param {(frame: any) => void} arrive
   */
  #downstream(id, isLagging, arrive) {
    let lastAt = 0
    /** @type {any} */
    let kept
    return (/** @type {any} */ frame, isHead = false) => {
      let passed = frame
      if (isLagging() && !isHead) {
        passed = kept
        kept = frame
        if (!passed) return
      }
      lastAt = Math.max(lastAt, this.now + this.#trip())
      this.after(lastAt - this.now, () => this.#closed.has(id) || arrive(passed))
    }
  }

  // Results.

  /** Returns the transports that carried, with their times. */
  get carried() {
    const transports = new Map(this.log.filter((step) => step.do === 'open').map(({ id, transport }) => [id, transport]))
    return this.log.filter((step) => step.do === 'carry').map(({ at, id, why }) => ({ at, id, why, transport: transports.get(id) }))
  }
}

/** @param {number[]} values @param {number} part */
export function quantile(values, part) {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]
}
