/**
 * The client's side of a run, in Node or in a page of a browser. Connects as an application does, publishes, and
 * records what it sees, but judges nothing. It is one self-contained class, because its text is sent to pages.
 */
export class Seat {
  /**
   * Event numbers in the order of their arrival: number, when it was published, when it arrived, and over which
   * transport.
   * @type {[number, number, number, string][]}
   */
  heard = []
  /** The numbers among them that were omitted in transit and read again. @type {number[]} */
  late = []
  /** @type {{at: number, what: string, from: any, to: any, reason: string}[]} */
  changes = []
  /** @type {{at: number, reason: string}[]} */
  gaps = []
  /** Every request and every WebSocket, with its time and kind. @type {[number, string][]} */
  asked = []
  /** @type {number | undefined} */
  usableAt
  /** When the first publish was answered. @type {number | undefined} */
  answeredAt
  /** When the channel reported that it has caught up. @type {number | undefined} */
  caughtUpAt
  /** Whether the channel ever reported that it is loading. */
  hasLoaded = false
  /** @type {string | undefined} the first transport */
  first
  said = 0
  /** How long each publish took until it was answered, and when it began. @type {[number, number][]} */
  answers = []
  acknowledged = 0
  /** @type {string[]} */
  rejected = []
  /** @type {any} */
  #speaking
  /** Returns the real time, even if the client sees another clock. */
  #now = Date.now.bind(Date)

  /**
   * @param {(address: string, options: any) => any} connect
   * @param {string} address
   * @param {{fetch: any, WebSocket: any, transports?: string[], heartbeat?: number, token?: string, skewMs?: number, words?: string, isEager?: boolean}} options
   *   `words` is the channel to which it publishes, and an eager seat publishes at once
   */
  constructor(connect, address, { skewMs = 0, words = 'words', isEager, ...options }) {
    if (skewMs) this.skew(skewMs)
    this.connect = connect
    this.address = address
    this.options = { ...options, ...this.#counting(options) }
    const now = this.#now
    this.beganAt = now()
    this.hub = connect(address, this.options)
    const note = (/** @type {any} */ { type, from, to, reason }) => {
      this.changes.push({ at: now(), what: type, from, to, reason })
      if (type === 'transport' && to) this.first ??= to
    }
    this.hub.addEventListener('transport', note)
    this.hub.addEventListener('state', note)
    this.hub.ready.then(() => (this.usableAt = now()), () => {})
    const numbers = this.hub.channel('numbers', { since: 'all' })
    numbers.addEventListener('message', (/** @type {any} */ { data, via, late }) => {
      this.heard.push([data.n, data.at, now(), via])
      if (late) this.late.push(data.n)
      this.hasLoaded ||= !!numbers.loading
    })
    numbers.addEventListener('caughtup', () => (this.caughtUpAt ??= now()))
    numbers.addEventListener('gap', (/** @type {any} */ { reason }) => this.gaps.push({ at: now(), reason }))
    this.words = this.hub.channel(words)
    if (isEager) this.say()
  }

  /** @param {{fetch: any, WebSocket: any}} globals */
  #counting({ fetch, WebSocket }) {
    const { asked } = this
    const now = this.#now
    return {
      fetch(/** @type {any} */ address, /** @type {any} */ init) {
        asked.push([now(), (init?.method ?? 'GET') + ' ' + (/\/(sse|poll|send|pub|healthz|history)\b/.exec(String(address))?.[1] ?? '?')])
        return fetch(address, init)
      },
      WebSocket: class extends WebSocket {
        /** @param {string} address @param {string[]} protocols */
        constructor(address, protocols) {
          asked.push([now(), 'WS'])
          super(address, protocols)
        }
      },
    }
  }

  /** Publishes numbers at this interval. At the end, they are compared with the hub's log. @param {number} everyMs */
  speak(everyMs) {
    clearInterval(this.#speaking)
    if (!everyMs) return
    this.#speaking = setInterval(() => this.say(), everyMs)
  }

  say() {
    const n = ++this.said
    const at = this.#now()
    this.words.publish({ n }).then(
      () => {
        this.acknowledged++
        this.answeredAt ??= this.#now()
        this.answers.push([this.#now() - at, at])
      },
      (/** @type {any} */ error) => this.rejected.push(`${n}: ${error?.code ?? error} after ${this.#now() - at} ms: ${JSON.stringify({ message: error?.message, ...error })}`),
    )
  }

  /** Connects `count` times, `atOnce` at a time. Returns the carrier of each, in order. @param {number} count @param {number} atOnce @param {number} settleMs */
  async connects(count, atOnce, settleMs) {
    /** @type {string[]} */
    const carried = []
    let left = count
    const line = async () => {
      while (left-- > 0) {
        const hub = this.connect(this.address, this.options)
        hub.channel('numbers')
        const ways = [/** @type {string} */ ('')].slice(1)
        hub.addEventListener('transport', (/** @type {any} */ { to }) => to && ways.push(to))
        await hub.ready
        await new Promise((resolve) => setTimeout(resolve, settleMs))
        carried.push(ways.join('>'))
        hub.close()
      }
    }
    await Promise.all(Array.from({ length: atOnce }, line))
    return carried
  }

  /** Skews the clock of this page from now on, as if its user sets it. @param {number} ms */
  skew(ms) {
    const now = this.#now
    Date.now = () => now() + ms
  }

  /** @param {string} type */
  tell(type) {
    globalThis.dispatchEvent(new Event(type))
  }

  /** @param {string} transport */
  use(transport) {
    this.hub.use(transport)
  }

  async seen() {
    const { beganAt, usableAt, answeredAt, caughtUpAt, hasLoaded, first, heard, late, changes, gaps, asked, said, acknowledged, answers, rejected, hub } = this
    const { state, transport } = hub
    return { beganAt, usableAt, answeredAt, caughtUpAt, hasLoaded, first, heard, late, changes, gaps, asked, said, acknowledged, answers, rejected, state, transport, hasLocks: !!globalThis.navigator?.locks, now: this.#now() }
  }

  async report() {
    return String(await this.hub.report())
  }

  /** @returns {Promise<string>} what is kept for the next page */
  async memory() {
    return JSON.stringify({ ...globalThis.localStorage })
  }

  end() {
    this.speak(0)
    this.hub.close()
  }
}
