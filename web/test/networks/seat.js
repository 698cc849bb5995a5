/**
 * What sits in the engine during a run, be it Node or a browser's page: it connects as an application
 * would, speaks, and writes down what it sees. It judges nothing, and is one self-contained class,
 * since it travels into pages as text.
 */
export class Seat {
  /** Event numbers as they came: number, when it was published, when it came, by which transport. @type {[number, number, number, string][]} */
  heard = []
  /** Those of them that were left out on the way and read again. @type {number[]} */
  late = []
  /** @type {{at: number, what: string, from: any, to: any, reason: string}[]} */
  changes = []
  /** @type {{at: number, reason: string}[]} */
  gaps = []
  /** Every request and every WebSocket, by its time and kind. @type {[number, string][]} */
  asked = []
  /** @type {number | undefined} */
  usableAt
  /** When the first publish was answered. @type {number | undefined} */
  answeredAt
  /** When the channel said that it has caught up. @type {number | undefined} */
  caughtUpAt
  /** Whether the channel ever said that it is loading. */
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
  /** The true time, whatever the clock that the client sees is set to. */
  #now = Date.now.bind(Date)

  /**
   * @param {(address: string, options: any) => any} connect
   * @param {string} address
   * @param {{fetch: any, WebSocket: any, transports?: string[], heartbeat?: number, token?: string, skewMs?: number, words?: string, isEager?: boolean}} options
   *   `words` is the channel that it speaks in, and an eager seat speaks at once
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

  /** Says a number each time; what the hub has of them is compared at the end. @param {number} everyMs */
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

  /** Connects so often, so many at once; what each was carried by, in order. @param {number} count @param {number} atOnce @param {number} settleMs */
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

  /** The clock of this page is wrong by so much from now on, as when its owner sets it. @param {number} ms */
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
