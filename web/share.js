/**
 * Tabs of one browser that share one connection: one of them reads for all. Loaded only where tabs share.
 *
 * A tab has one of three roles. `alone`: it reads for itself, or is frozen. `follows`: another tab reads, and
 * sends what arrives over a BroadcastChannel. `leads`: it holds the Web Lock, and reads and publishes for all.
 *
 * The leader sends, in order over one BroadcastChannel: each frame, each channel that begins to be complete
 * (`gained`) or stops being complete (`lost`), and its whole state. A follower applies them to its own
 * subscriptions, which then catch up by themselves. Each message of a leader carries its term; of two leaders
 * the one with the later term counts. Knows no transport, and imports nothing that has a state, since it is a
 * file of its own.
 */

import { LeaderWatch } from './leader-watch.js'
import { problemOf, replyOf } from './problem.js'
import { WantedChannels } from './wanted-channels.js'

/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./rungs.js').Transport} Transport @typedef {import('./tabs.js').Host} Host */

/** Of the messages below: tabs with another version share with each other only. Raise it whenever a message changes. */
const MESSAGES_VERSION = 3
/** How long, in ms, a tab waits until the leader reads all channels of this tab: the leader may need the connection that this tab holds. */
const JOIN_MAX_MS = 1000

export { identityOf } from './identity.js'

export class Sharing {
  /** @type {'alone' | 'follows' | 'leads'} */
  role = 'alone'
  /** The term of the current leader: when it began to lead, in ms since 1970. */
  #term = 0
  #tab = String(Math.random()).slice(2)
  /** @type {BroadcastChannel | undefined} */
  #broadcast
  /** Ends the request for the Web Lock, or releases it. @type {AbortController | undefined} */
  #lockRequest
  /** What other tabs want to read. */
  #wanted = new WantedChannels()
  /** Callbacks of publishes that the leader has, by key. @type {Map<string, (reply: any) => void>} */
  #replies = new Map()
  /** The leader of this term has not sent its whole state yet. */
  #isNew = true
  #isPosting = false
  /** Since when another tab could read for this one, in ms since 1970; 0 if none could. */
  #couldJoinAt = 0
  #isOff = false
  /** It follows as soon as its own publishes are answered. */
  #isJoining = false
  /** It shares, and shares again after the page was cached; false once sharing has failed. */
  #isMember
  #watch = new LeaderWatch({ ask: () => this.#postChannels(), replace: () => this.#replaceLeader() })
  #name = ''
  #host
  #isByDefault

  /**
   * @param {Host} host
   * @param {boolean} isByDefault the tab reads for itself until another one reads all that it wants
   */
  constructor(host, isByDefault) {
    this.#host = host
    this.#isByDefault = isByDefault
    this.#isMember = !isByDefault
    host.hub.addEventListener('state', this.#onState)
    host.outbox.onWithdrawn = (key) => this.role === 'follows' && this.#post('withdraw', { key })
    globalThis.document?.addEventListener('freeze', this.#onFreeze)
    globalThis.document?.addEventListener('resume', this.#onResume)
  }

  // Coming and going.

  /** Looks for the tab that leads, and queues for the Web Lock. @param {any[]} alike what tabs must have in common to share */
  enter(alike) {
    if (this.#broadcast || this.#isOff) return
    this.#name = 'triway ' + JSON.stringify([MESSAGES_VERSION, ...alike])
    this.#enter()
  }

  #enter() {
    if (this.#broadcast || this.#isOff) return
    this.#broadcast = new BroadcastChannel(this.#name)
    this.#broadcast.onmessage = ({ data }) => this.#onMessage(data)
    if (this.#isMember) this.#follow()
    this.#requestLock({})
    this.#postChannels()
  }

  /** @param {{steal?: boolean}} how */
  #requestLock({ steal }) {
    // Aborting the request releases the lock, too.
    const request = (this.#lockRequest = new AbortController())
    const granted = () => {
      if (request.signal.aborted) return
      this.#lead()
      return new Promise((resolve) => request.signal.addEventListener('abort', resolve))
    }
    // The API accepts `steal` or a signal, not both.
    navigator.locks.request(this.#name, steal ? { steal } : { signal: request.signal }, granted).catch(() => {
      if (request.signal.aborted) return
      if (this.role === 'leads') this.#stopLeading()
      else this.#breakUp()
    })
  }

  #onState = (/** @type {any} */ { to }) => {
    if (to === 'closed') {
      this.#isOff = true
      this.#leave()
      globalThis.document?.removeEventListener('freeze', this.#onFreeze)
      globalThis.document?.removeEventListener('resume', this.#onResume)
    } else if (this.role === 'leads') this.synced()
  }

  #onFreeze = () => {
    this.onPage('pause')
    this.#host.connection.park()
  }

  #onResume = () => {
    if (this.#isMember) this.#enter()
    else this.#host.connection.start()
  }

  /** A cached page may be frozen at any moment, so another tab must lead. The page joins again when it is shown. @param {string} type */
  onPage(type) {
    if (type === 'start' && this.#isMember) this.#enter()
    if (type !== 'pause' || !this.#broadcast) return
    this.#leave()
    if (!this.#isMember) return
    this.#uncover()
    const { connection, outbox } = this.#host
    outbox.setRoute(undefined)
    connection.isParked = true
  }

  #leave() {
    this.#post('gone')
    this.role = 'alone'
    this.#lockRequest?.abort()
    this.#broadcast?.close()
    this.#broadcast = undefined
    this.#watch.stop()
    this.#couldJoinAt = 0
    this.#replies.clear()
    this.#wanted.clear()
  }

  /** Sharing failed: from now on this tab reads for itself. */
  #breakUp() {
    const { connection, outbox } = this.#host
    const wasAlone = this.role === 'alone' && !this.#isJoining
    this.#isOff = true
    this.#isMember = this.#isJoining = outbox.isHeld = false
    this.#leave()
    if (wasAlone) return
    this.#uncover()
    connection.park()
    connection.position = undefined
    outbox.setRoute(undefined)
    this.#interrupted()
    connection.start()
  }

  /** No tab reads for this one at the moment. */
  #interrupted() {
    const { hub, change } = this.#host
    change('transport', null, 'shared')
    if (hub.state === 'connected') change('state', 'reconnecting', 'shared')
  }

  /** From here on something may be missed. */
  #uncover() {
    const { connection, subscriptions } = this.#host
    for (const subscription of subscriptions.values()) subscription.uncover(connection.position?.cursor)
    connection.position?.reads.clear()
  }

  // Changes of the role.

  #lead() {
    const { connection, outbox } = this.#host
    const isReading = this.role === 'alone' && !this.#isJoining
    this.role = 'leads'
    this.#isMember = true
    this.#isJoining = outbox.isHeld = false
    this.#term = Math.max(Date.now(), this.#term + 1)
    this.#replies.clear()
    this.#watch.stop()
    this.#postState()
    if (isReading) return connection.sync()
    outbox.setRoute(undefined)
    this.#interrupted()
    connection.start()
  }

  /** Another tab took the lock, since this one was frozen for too long. */
  #stopLeading() {
    this.#uncover()
    this.#host.connection.park()
    this.#interrupted()
    this.#follow()
    this.#requestLock({})
    this.#postChannels()
  }

  /** Another tab leads: its next state shows where this tab continues. */
  #follow() {
    const { connection, outbox } = this.#host
    this.role = 'follows'
    this.#isMember = true
    this.#isJoining = outbox.isHeld = false
    connection.isParked = true
    outbox.setRoute(undefined)
    this.#isNew = true
    this.#watch.start()
  }

  #replaceLeader() {
    if (this.role !== 'follows') return
    this.#lockRequest?.abort()
    this.#requestLock({ steal: true })
  }

  // Messages to other tabs. Their members have the same names in every build.

  /** @param {string} what @param {object} [more] */
  #post(what, more) {
    this.#broadcast?.postMessage({ what, from: this.#tab, term: this.#term, ...more })
  }

  /** The channels of this tab. @param {boolean} [isRenewed] nothing has changed */
  #postChannels(isRenewed) {
    this.#post('wish', { names: this.#host.connection.ownNames(), isRenewed })
  }

  /** The whole state; nothing while the session is not known yet. @param {boolean} [isBeat] followers answer it with their channels */
  #postState(isBeat) {
    const { connection, hub, outbox } = this.#host
    const { session, cursor } = connection.position ?? {}
    const isWhole = connection.carrier && session?.inboxes && hub.state === 'connected'
    if (!isWhole && hub.state === 'connected') return
    const { state, transport } = hub
    this.#post('state', { state, transport, isBeat, problem: connection.problem && problemOf(connection.unavailable()), ...(isWhole && { names: connection.covered, cursor, session, limits: outbox.limits }) })
  }

  // What the connection reports.

  /** Channels that other tabs want. */
  names() {
    return this.role === 'leads' ? this.#wanted.names() : []
  }

  /** Whether this tab reads for others, too. */
  get hasOthers() {
    return this.role === 'leads' && this.#wanted.size > 0
  }

  /** @param {Frame} frame @param {Transport | null} via */
  frame(frame, via) {
    if (this.role === 'leads') this.#post('frame', { frame, via, cursor: this.#host.connection.position?.cursor })
  }

  /** From now on a channel is complete. @param {string} name @param {string} [id] */
  covered(name, id) {
    if (this.role === 'leads') this.#post('gained', { name, id })
  }

  /** @param {string} name @param {string} [cursor] */
  uncovered(name, cursor) {
    if (this.role === 'leads') this.#post('lost', { name, cursor })
  }

  /** Frames were lost on the way. @param {string} name @param {any} missing */
  incomplete(name, missing) {
    if (this.role === 'leads') this.#post('incomplete', { name, missing })
  }

  /** @param {string[]} names @param {any} error */
  refused(names, error) {
    if (this.role !== 'leads') return
    this.#post('refused', { names, problem: problemOf(error) })
    this.#wanted.withdraw(names)
  }

  /** @param {string} why @param {any} error */
  finished(why, error) {
    if (this.role === 'leads') this.#post('finished', { why, problem: problemOf(error) })
  }

  /** The application of this tab chose a transport: every tab remembers it, and the leader changes to it. @param {Transport | 'auto'} transport */
  use(transport) {
    if (this.role !== 'alone') this.#post('use', { transport })
  }

  /** The state, or the channels of this tab, may have changed. */
  synced() {
    if (this.#isPosting) return
    this.#isPosting = true
    queueMicrotask(() => {
      this.#isPosting = false
      if (this.role === 'leads') this.#postState()
      else this.#postChannels()
    })
  }

  /** A ping of the hub arrived: silent tabs are forgotten. */
  beat() {
    if (this.role !== 'leads') return
    if (this.#wanted.forgetSilent()) this.#host.connection.sync()
    this.#postState(true)
  }

  // Messages of other tabs.

  /** @param {any} message */
  #onMessage(message) {
    const { what, term } = message
    if (what in this.#fromAll) return this.#fromAll[what](message)
    if (this.role === 'leads' && what in this.#toLeader) return this.#toLeader[what](message)
    if (!(what in this.#toFollowers) || term < this.#term) return
    if (term > this.#term) this.#change(term)
    if (this.role === 'leads') return
    this.#watch.onMessage()
    this.#toFollowers[what](message)
  }

  /** Another tab leads. It may not continue exactly where the last one ended. @param {number} term */
  #change(term) {
    this.#term = term
    if (this.role === 'leads') {
      this.#lockRequest?.abort()
      return this.#stopLeading()
    }
    if (this.role === 'alone') return
    this.#uncover()
    this.#isNew = true
    this.#host.outbox.setRoute(undefined)
    this.#postChannels()
  }

  /** @type {Record<string, (message: any) => any>} */
  #fromAll = {
    wish: ({ from, names, isRenewed }) => {
      this.#wanted.set(from, names)
      if (this.role === 'leads' && !isRenewed) this.#host.connection.sync()
    },
    gone: ({ from }) => {
      this.#wanted.delete(from)
      if (this.role === 'leads') this.#host.connection.sync()
    },
    use: ({ transport }) => {
      if (this.role !== 'alone') this.#host.connection.use(transport)
    },
  }

  /** @type {Record<string, (message: any) => any>} */
  #toLeader = {
    withdraw: ({ key }) => this.#host.outbox.withdraw(key),
    send: async ({ from, key, encoded, size, leftMs, deadline = performance.now() + leftMs }) => {
      const reply = (/** @type {any} */ reply) => this.role === 'leads' && this.#post('reply', { to: from, key, reply })
      try {
        reply({ ok: true, ...(await this.#host.outbox.add(encoded, size, undefined, key, deadline).answer) })
      } catch (error) {
        reply({ error: replyOf(error, deadline) })
      }
    },
  }

  /** @type {Record<string, (message: any) => any>} */
  #toFollowers = {
    state: (message) => {
      if (message.isBeat) this.#postChannels(true)
      if (this.role === 'alone') this.#consider(message)
      else this.#adopt(message)
    },
    frame: ({ frame, via, cursor }) => {
      const { position } = this.#host.connection
      if (this.#isNew || !position) return
      position.cursor = cursor
      this.#host.receive(frame, via)
    },
    gained: ({ name, id }) => {
      if (this.#isNew) return
      this.#host.connection.position?.reads.set(name, true)
      this.#host.subscriptions.get(name)?.cover(id)
      if (this.#pendingState && this.#isRead()) this.#release()
    },
    lost: ({ name, cursor }) => {
      if (this.#isNew) return
      this.#host.connection.position?.reads.delete(name)
      this.#host.subscriptions.get(name)?.uncover(cursor)
    },
    incomplete: ({ name, missing }) => !this.#isNew && this.#host.subscriptions.get(name)?.repair(missing),
    reply: ({ to, key, reply }) => {
      if (to !== this.#tab) return
      this.#replies.get(key)?.(reply)
      this.#replies.delete(key)
    },
    refused: ({ names, problem }) => {
      const isOurs = this.#host.connection.ownNames().some((name) => names.includes(name))
      // The leader's session may not read this; a session of this tab perhaps may.
      if (isOurs && this.#isByDefault) this.#separate()
      else if (this.role === 'follows') this.#host.refuse(names, this.#host.errorOf(problem))
    },
    finished: ({ why, problem }) => {
      if (this.#isByDefault) this.#breakUp()
      else this.#host.finish(why, this.#host.errorOf(problem))
    },
  }

  /** This tab reads for itself, once the leader has answered its publishes. */
  async #separate() {
    if (this.role === 'follows') await this.#host.outbox.drain()
    if (!this.#isOff) this.#breakUp()
  }

  /** A tab that reads for itself follows once the leader reads all its channels, or after a while. @param {any} state */
  #consider({ session, names = [] }) {
    const { connection, hub } = this.#host
    if (!session || this.#isJoining || hub.transport === 'ws') return
    if (!this.#couldJoinAt) {
      this.#couldJoinAt = Date.now()
      setTimeout(() => this.#postChannels(), JOIN_MAX_MS)
    }
    if (Date.now() < this.#couldJoinAt + JOIN_MAX_MS && !connection.ownNames().every((name) => names.includes(name))) return
    this.#join()
  }

  /** The stream is closed first: it may hold the connection that publishes need. */
  async #join() {
    const { connection, outbox } = this.#host
    this.#isJoining = true
    if (!connection.carrier) outbox.setRoute(true)
    this.#uncover()
    connection.park(true)
    await outbox.drain()
    if (!this.#isJoining || !this.#broadcast) return
    connection.position = undefined
    this.#follow()
    this.#postChannels()
  }

  /** @param {any} message the leader's state */
  #adopt({ state, transport, names, cursor, session, limits, problem }) {
    const { connection, outbox, subscriptions, hub, adopt, errorOf } = this.#host
    connection.problem = problem && errorOf(problem)
    if (session) {
      connection.follow({ reads: new Map(names.map((/** @type {string} */ name) => [name, true])), cursor, session })
      outbox.limits = limits
      adopt(session)
      if (this.#isNew || outbox.session !== session.id) outbox.setRoute(this.#send, session.id)
      this.#isNew = false
      for (const name of names) subscriptions.get(name)?.cover(cursor)
    } else if (hub.state === 'connecting' && state === 'reconnecting') return
    this.#pendingState = { state, transport }
    // `ready` promises that the channels opened at the start are read, in each tab.
    if (hub.state !== 'connecting' || state !== 'connected' || this.#isRead()) this.#release()
    else this.#pendingTimer ??= setTimeout(() => this.#release(), JOIN_MAX_MS)
  }

  /** Whether the leader reads all channels of this tab. */
  #isRead() {
    const { connection } = this.#host
    return connection.ownNames().every((name) => connection.position?.reads.get(name) === true)
  }

  /** This tab takes over the leader's state. */
  #release() {
    clearTimeout(this.#pendingTimer)
    this.#pendingTimer = undefined
    if (!this.#pendingState || this.role !== 'follows') return
    const { state, transport } = this.#pendingState
    this.#pendingState = undefined
    this.#host.change('transport', transport, 'shared')
    this.#host.change('state', state, 'shared', this.#host.connection.problem)
  }
  /** The leader's state, until it reads the channels of this tab. @type {{state: any, transport: any} | undefined} */
  #pendingState
  /** @type {any} */ #pendingTimer

  /** The outbox of a follower uses the leader as a socket. @param {string} json @param {(reply: any) => void} onReply @param {import('./outbox.js').Entry} entry */
  #send = (json, onReply, { key, encoded, size, deadline }) => {
    this.#replies.set(key, onReply)
    this.#post('send', { key, encoded, size, leftMs: deadline - performance.now() })
  }
}
