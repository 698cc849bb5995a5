/**
 * A guest of a hub. Connects as an application does, reads, publishes, and records what it receives, but judges
 * nothing. Runs in a page, in a worker, in Node, Deno and Bun, and its methods are called by name.
 */
export class Guest {
  /** Numbers, in the order of their arrival. @type {{n: number, at: number, came: number, via: string}[]} */
  heard = []
  /** All other messages. Bytes are recorded as lists. @type {any[]} */
  words = []
  /** @type {string[]} */
  states = []
  /** As `from>to (reason)`. @type {string[]} */
  transports = []
  /** @type {string[]} */
  gaps = []
  /** As `join NAME COUNT`. @type {string[]} */
  presence = []
  /** @type {string[]} */
  rejected = []
  acknowledged = 0
  /** Time from `connect` until the hub was ready, in ms. @type {number | undefined} */
  usableMs

  /** @param {(address: string, options: any) => any} connect @param {string} address @param {any} options @param {{channel: string, since?: string, presence?: boolean}} reads */
  constructor(connect, address, options, { channel, ...how }) {
    const beganAt = performance.now()
    this.hub = connect(address, options)
    this.hub.addEventListener('state', (/** @type {any} */ { to, reason }) => this.states.push(`${to} (${reason})`))
    this.hub.addEventListener('transport', (/** @type {any} */ { from, to, reason }) => this.transports.push(`${from}>${to} (${reason})`))
    this.hub.ready.then(() => (this.usableMs = performance.now() - beganAt), (/** @type {any} */ error) => this.rejected.push('ready: ' + error?.code))
    this.channel = this.hub.channel(channel, how)
    this.channel.addEventListener('message', (/** @type {any} */ { data, via }) => {
      if (typeof data?.n === 'number') this.heard.push({ n: data.n, at: data.at, came: Date.now(), via })
      else this.words.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data)
    })
    this.channel.addEventListener('gap', (/** @type {any} */ { reason }) => this.gaps.push(reason))
    for (const type of ['join', 'leave']) this.channel.addEventListener(type, (/** @type {any} */ { member, count }) => this.presence.push(`${type} ${member?.info?.name} ${count}`))
  }

  seen() {
    const { heard, words, states, transports, gaps, presence, rejected, acknowledged, usableMs } = this
    const { state, transport, session, rtt } = this.hub
    return { numbers: heard.map(({ n }) => n), words, states, transports, gaps, presence, rejected, acknowledged, usableMs, state, transport, session: session?.id, rtt }
  }

  /** The state for a condition: small, because it is read often. */
  glance() {
    const { state, transport } = this.hub
    return { state, transport, heard: this.heard.length, last: this.heard.at(-1)?.n ?? 0, words: this.words.length, acknowledged: this.acknowledged, rejected: this.rejected.length }
  }

  /** When each number arrived, and when it was published. */
  times() {
    return this.heard
  }

  /** @param {any} data */
  async publish(data) {
    const { id } = await this.channel.publish(data)
    return id
  }

  /** Publishes every value that a byte can have. */
  publishBytes() {
    return this.publish(Uint8Array.from({ length: 256 }, (_, at) => at).buffer)
  }

  /** Publishes without waiting for the responses. @param {any[]} list */
  publishAll(list) {
    for (const data of list) this.channel.publish(data).then(() => this.acknowledged++, (/** @type {any} */ error) => this.rejected.push(String(error?.code ?? error)))
  }

  /** @param {string} transport */
  use(transport) {
    this.hub.use(transport)
  }

  async members() {
    return (await this.channel.members()).map(({ info }) => info?.name).sort()
  }

  async report() {
    return String(await this.hub.report())
  }

  /** Returns the transports that are considered failed here. */
  async down() {
    return Object.entries((await this.hub.report()).learned).filter(([, { until }]) => until > Date.now()).map(([name]) => name)
  }

  close() {
    this.hub.close()
  }
}
