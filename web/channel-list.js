/**
 * Which channels should be read, and how the carrier comes to read them: by commands on WebSocket; by
 * another attachment on SSE and polls, which accept no commands. Knows no ladder.
 */

/** @typedef {import('./attachment.js').Attachment} Attachment @typedef {import('./connection.js').Connection} Connection */

/** Least time between two attachments for a changed list, in ms: within it the hub drops the old one. */
const REOPEN_EVERY_MS = 100
/** Pause before a channel is requested again for which the hub had no room, in ms. */
const CHANNEL_RETRY_MS = 5000

export class ChannelList {
  #owner
  #connection
  #isSyncing = false
  #isEnded = false
  #reopenedAt = 0
  /** @type {any} */
  #reopenTimer
  /** @type {any} */
  #retryTimer

  /** @param {import('./connection.js').Owner} owner @param {Connection} connection */
  constructor(owner, connection) {
    this.#owner = owner
    this.#connection = connection
  }

  /** Names of channels to read, those of other tabs included. */
  wanted() {
    const names = [...new Set([...this.ownNames(), ...(this.#connection.sharing?.names() ?? [])])]
    // An attachment reads at least one channel: a hub that only publishes reads its inbox.
    return names[0] ? names : ['@']
  }

  /** Names of channels that this tab reads. The inbox of another session can only be published to. */
  ownNames() {
    return [...this.#owner.subscriptions.values()].filter(({ name }) => !/^@./.test(name)).flatMap(({ name, hasPresence }) => (hasPresence ? ['$presence/' + name, name] : [name]))
  }

  /** Whether this session is shown to others. */
  showsPresence() {
    return this.wanted().some((name) => name.startsWith('$presence/'))
  }

  /** Compares, in a microtask, the channels that are read with those that should be. */
  sync() {
    if (this.#isSyncing) return
    this.#isSyncing = true
    queueMicrotask(() => {
      this.#isSyncing = false
      const { carrier } = this.#connection
      if (carrier && !this.#isEnded) this.#compare(carrier)
      else if (this.#connection.isParked) this.#coverOwn()
      this.#connection.sharing?.synced()
    })
  }

  /** Another tab reads: a channel that was closed and opened again at once is still read by it. */
  #coverOwn() {
    const { position } = this.#connection
    for (const name of this.ownNames()) if (position?.reads.get(name) === true) this.#owner.subscriptions.get(name)?.cover(position.cursor)
  }

  /** @param {Attachment} carrier */
  #compare(carrier) {
    const { reads } = carrier.position
    const names = this.wanted()
    // A channel that was closed and opened again at once is still read.
    for (const name of names) if (reads.get(name) === true) this.#connection.cover(name, carrier.position.cursor)
    // Channels that are no longer wanted go first, since a session has a bound.
    const changed = [...new Set([...reads.keys(), ...names])].filter((name) => !reads.has(name) || !names.includes(name))
    if (!changed.length) return
    if (!carrier.socket || (this.showsPresence() && !carrier.showsPresence)) return this.#reopen()
    for (const channel of changed) reads.has(channel) ? this.#unsubscribe(carrier, channel) : this.#subscribe(carrier, channel)
  }

  /** Attaches again to read the new list, one attachment at a time: when it carries, the lists are compared again. */
  #reopen() {
    if (this.#connection.isReopening) return
    clearTimeout(this.#reopenTimer)
    const restMs = this.#reopenedAt + REOPEN_EVERY_MS - Date.now()
    if (restMs > 0) {
      this.#reopenTimer = setTimeout(() => this.sync(), restMs)
      return
    }
    this.#reopenedAt = Date.now()
    this.#connection.observe('reopen')
  }

  /** The hub refused a channel: for good, or until it has room. @param {string} channel @param {import('./error.js').Problem} error */
  refused(channel, error) {
    if ((error.status ?? 400) < 429) return this.#owner.refuse([channel], error)
    clearTimeout(this.#retryTimer)
    this.#retryTimer = setTimeout(() => this.sync(), CHANNEL_RETRY_MS)
  }

  /** @param {Attachment} carrier @param {string} channel */
  #unsubscribe(carrier, channel) {
    carrier.position.reads.delete(channel)
    this.#connection.uncover(channel, carrier.position.cursor)
    carrier.command(JSON.stringify({ type: 'unsubscribe', channel }))
  }

  /** @param {Attachment} carrier @param {string} channel */
  #subscribe(carrier, channel) {
    const { reads } = carrier.position
    reads.set(channel, 'now')
    carrier.command(JSON.stringify({ type: 'subscribe', channel }), ({ ok, error }) => {
      // The attachment may have ended, or the channel been closed, in between.
      if (reads.get(channel) !== 'now' || error?.code === 'closed') return
      if (!ok) {
        reads.delete(channel)
        return this.refused(channel, /** @type {any} */ (error))
      }
      reads.set(channel, true)
      if (this.#connection.position === carrier.position) this.#connection.cover(channel, carrier.position.cursor)
      this.sync()
    })
  }

  /** Stops all timers. */
  end() {
    this.#isEnded = true
    clearTimeout(this.#reopenTimer)
    clearTimeout(this.#retryTimer)
  }
}
