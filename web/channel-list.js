/**
 * Which channels are wanted, and what is done so that the carrier reads them: in place on WebSocket; on SSE
 * and polls, where nothing can be asked, by attaching again. Knows no ladder and no transport's ways.
 */

/** @typedef {import('./attachment.js').Attachment} Attachment @typedef {import('./connection.js').Connection} Connection */

/** Lists of channels that change all the time are read by a new attachment this often, in ms: the one before it is gone by then. */
const REOPEN_EVERY_MS = 100
/** A channel for which the hub has no room now is asked for again after so long, in ms. */
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

  /** Names that should be read now, of other tabs too. */
  wanted() {
    const names = [...new Set([...this.ownNames(), ...(this.#connection.sharing?.names() ?? [])])]
    // A hub that only publishes reads its inbox: something must be read.
    return names[0] ? names : ['@']
  }

  /** The names that this tab reads. An inbox of another session can only be written to. */
  ownNames() {
    return [...this.#owner.subscriptions.values()].filter(({ name }) => !/^@./.test(name)).flatMap(({ name, hasPresence }) => (hasPresence ? ['$presence/' + name, name] : [name]))
  }

  /** Whether this session is shown to others. */
  isShown() {
    return this.wanted().some((name) => name.startsWith('$presence/'))
  }

  /** Soon brings what is read in line with what is wanted: in place on WebSocket; on SSE and polls, where nothing can be asked, by attaching again. */
  sync() {
    if (this.#isSyncing) return
    this.#isSyncing = true
    queueMicrotask(() => {
      this.#isSyncing = false
      const { carrier } = this.#connection
      if (carrier && !this.#isEnded) this.#join(carrier)
      else if (this.#connection.isParked) this.#regain()
      this.#connection.sharing?.synced()
    })
  }

  /** Another tab reads: what was closed and opened again in one breath is still read by it. */
  #regain() {
    const { line } = this.#connection
    for (const name of this.ownNames()) if (line?.reads.get(name) === true) this.#owner.subscriptions.get(name)?.cover(line.cursor)
  }

  /** @param {Attachment} carrier */
  #join(carrier) {
    const { reads } = carrier.line
    const names = this.wanted()
    // What was closed and opened again in one breath is still read.
    for (const name of names) if (reads.get(name) === true) this.#connection.gain(name, carrier.line.cursor)
    // What is left goes first: a session has a bound.
    const changed = [...new Set([...reads.keys(), ...names])].filter((name) => !reads.has(name) || !names.includes(name))
    if (!changed.length) return
    if (!carrier.socket || (this.isShown() && !carrier.isShown)) return this.#reopen()
    for (const channel of changed) reads.has(channel) ? this.#unsubscribe(carrier, channel) : this.#subscribe(carrier, channel)
  }

  /** Another attachment reads the new list; one at a time: when it carries, the list is compared again. */
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
  /** A channel was refused: for good, or until the hub has room. @param {string} channel @param {import('./error.js').Problem} error */
  refused(channel, error) {
    if ((error.status ?? 400) < 429) return this.#owner.refuse([channel], error)
    clearTimeout(this.#retryTimer)
    this.#retryTimer = setTimeout(() => this.sync(), CHANNEL_RETRY_MS)
  }
  /** @param {Attachment} carrier @param {string} channel */
  #unsubscribe(carrier, channel) {
    carrier.line.reads.delete(channel)
    this.#connection.lose(channel, carrier.line.cursor)
    carrier.command(JSON.stringify({ type: 'unsubscribe', channel }))
  }

  /** @param {Attachment} carrier @param {string} channel */
  #subscribe(carrier, channel) {
    const { reads } = carrier.line
    reads.set(channel, 'now')
    carrier.command(JSON.stringify({ type: 'subscribe', channel }), ({ ok, error }) => {
      // It may have ended, or the channel been closed, meanwhile.
      if (reads.get(channel) !== 'now' || error?.code === 'closed') return
      if (!ok) {
        reads.delete(channel)
        return this.refused(channel, /** @type {any} */ (error))
      }
      reads.set(channel, true)
      if (this.#connection.line === carrier.line) this.#connection.gain(channel, carrier.line.cursor)
      this.sync()
    })
  }

  /** Nothing is asked for any more. */
  end() {
    this.#isEnded = true
    clearTimeout(this.#reopenTimer)
    clearTimeout(this.#retryTimer)
  }
}
