/**
 * Tabs of one browser that share one connection: one of them reads for all. Loaded only where tabs share.
 *
 * A tab is in one of three roles. `alone`: it reads for itself, or is frozen. `follows`: another tab reads, and tells
 * over a BroadcastChannel what comes. `leads`: it holds the Web Lock, reads for all, and publishes for all.
 *
 * The leader tells, in this order and over one channel, each frame, each channel that begins to be complete
 * (`gained`) or ceases to be (`lost`), and its whole state. A follower does with its subscriptions what the
 * leader does with its own, so that catching up is theirs. What a leader says carries its term: of two, the
 * later term counts. It knows no transport, and imports nothing that has a state: it is a file of its own.
 */

import { problemOf, replyOf } from './problem.js'

/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./cuts.js').Transport} Transport @typedef {import('./tabs.js').Host} Host */

/** Of the messages below: tabs that speak different ones never meet. Raise it whenever a message changes. */
const DIALECT = 2
/** A leader that says nothing for so long, in ms, is asked; if it says nothing for as long again, it is replaced. */
const SILENT_MS = 5000
/** Followers that replace a leader wait a random part of this, in ms, so that one of them does it. */
const APART_MS = 1000
/** How long, in ms, a tab waits for the leader to read all that it wants: it may have to give up its own connection first. */
const JOIN_MOST_MS = 1000
/** A follower says each heartbeat what it wants; one that has not for so long, in ms, is gone. The longest heartbeat is 60 s. */
const WISH_MS = 150_000

export class Sharing {
  /** @type {'alone' | 'follows' | 'leads'} */
  role = 'alone'
  /** When the leader that counts began, in ms since 1970; as its own number, where this tab leads. */
  #term = 0
  #tab = String(Math.random()).slice(2)
  /** @type {BroadcastChannel | undefined} */
  #wire
  /** Ends its turn, or its wait for one. @type {AbortController | undefined} */
  #turn
  /** What each other tab wants to read, and when it said so. @type {Map<string, {names: string[], at: number}>} */
  #wishes = new Map()
  /** Of publishes that the leader has, by key. @type {Map<string, (reply: any) => void>} */
  #replies = new Map()
  /** The leader of this term has not told its whole state yet. */
  #isNew = true
  #isHeard = false
  #isAsked = false
  #isTelling = false
  /** Since when another tab could read for this one, in ms since 1970. */
  #couldJoinAt = 0
  #isOff = false
  /** It follows as soon as what it published as itself is answered. */
  #isJoining = false
  /** It shares, and does so again after its page was cached; not where sharing broke up. */
  #isMember
  /** @type {any} */
  #watch
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
    host.outbox.givenUp = (key) => this.role === 'follows' && this.#say('withdraw', { key })
    globalThis.document?.addEventListener('freeze', this.#onFreeze)
    globalThis.document?.addEventListener('resume', this.#onResume)
  }

  // Coming and going.

  /** Looks for the tab that leads, and stands in line to lead. @param {any[]} alike what tabs must have in common */
  enter(alike) {
    if (this.#wire || this.#isOff) return
    this.#name = 'triway ' + JSON.stringify([DIALECT, ...alike])
    this.#enter()
  }

  #enter() {
    if (this.#wire || this.#isOff) return
    this.#wire = new BroadcastChannel(this.#name)
    this.#wire.onmessage = ({ data }) => this.#hear(data)
    if (this.#isMember) this.#await()
    this.#stand({})
    this.#wish()
  }

  /** @param {{steal?: boolean}} how */
  #stand({ steal }) {
    const turn = (this.#turn = new AbortController())
    const granted = () => {
      if (turn.signal.aborted) return
      this.#lead()
      return new Promise((resolve) => turn.signal.addEventListener('abort', resolve))
    }
    // A lock that is taken away cannot be waited for, too.
    navigator.locks.request(this.#name, steal ? { steal } : { signal: turn.signal }, granted).catch(() => {
      if (turn.signal.aborted) return
      if (this.role === 'leads') this.#abdicate()
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

  /** The page may be frozen at any moment: another tab leads; when it is back, it begins again. @param {string} type */
  onPage(type) {
    if (type === 'start' && this.#isMember) this.#enter()
    if (type !== 'pause' || !this.#wire) return
    this.#leave()
    if (!this.#isMember) return
    this.#uncover()
    const { connection, outbox } = this.#host
    outbox.setRoute(undefined)
    connection.isParked = true
  }

  #leave() {
    this.#say('gone')
    this.role = 'alone'
    this.#turn?.abort()
    this.#wire?.close()
    this.#wire = undefined
    clearInterval(this.#watch)
    this.#couldJoinAt = 0
    this.#replies.clear()
    this.#wishes.clear()
  }

  /** Sharing works no more: from now on this tab reads for itself. */
  #breakUp() {
    const { connection, outbox } = this.#host
    const wasAlone = this.role === 'alone' && !this.#isJoining
    this.#isOff = true
    this.#isMember = this.#isJoining = outbox.isHeld = false
    this.#leave()
    if (wasAlone) return
    this.#uncover()
    connection.park()
    connection.line = undefined
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

  /** Something may be missed from here on. */
  #uncover() {
    const { connection, subscriptions } = this.#host
    for (const subscription of subscriptions.values()) subscription.uncover(connection.line?.cursor)
    connection.line?.reads.clear()
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
    clearInterval(this.#watch)
    this.#tell()
    if (isReading) return connection.sync()
    outbox.setRoute(undefined)
    this.#interrupted()
    connection.start()
  }

  /** Another tab took the lock: this one was frozen for too long. */
  #abdicate() {
    this.#uncover()
    this.#host.connection.park()
    this.#interrupted()
    this.#await()
    this.#stand({})
    this.#wish()
  }

  /** The leader will say where this tab goes on. */
  #await() {
    const { connection, outbox } = this.#host
    this.role = 'follows'
    this.#isMember = true
    this.#isJoining = outbox.isHeld = false
    connection.isParked = true
    outbox.setRoute(undefined)
    this.#isNew = this.#isHeard = true
    clearInterval(this.#watch)
    this.#watch = setInterval(() => this.#checkLeader(), SILENT_MS)
  }

  #checkLeader() {
    if (this.#isHeard) this.#isHeard = this.#isAsked = false
    else if (!this.#isAsked) {
      this.#isAsked = true
      this.#wish()
    } else {
      setTimeout(() => {
        if (this.#isHeard || this.role !== 'follows') return
        this.#turn?.abort()
        this.#stand({ steal: true })
      }, APART_MS * Math.random())
    }
  }

  // What is said. Names of members are as they are in every build.

  /** @param {string} what @param {object} [more] */
  #say(what, more) {
    this.#wire?.postMessage({ what, from: this.#tab, term: this.#term, ...more })
  }

  /** @param {boolean} [isRenewed] nothing has changed */
  #wish(isRenewed) {
    this.#say('wish', { names: this.#host.connection.ownNames(), isRenewed })
  }

  /** The whole state, once the other tabs can do something with it. @param {boolean} [isBeat] */
  #tell(isBeat) {
    const { connection, hub, outbox } = this.#host
    const { session, cursor } = connection.line ?? {}
    const isWhole = connection.carrier && session?.inboxes && hub.state === 'connected'
    if (!isWhole && hub.state === 'connected') return
    const { state, transport } = hub
    this.#say('state', { state, transport, isBeat, problem: connection.problem && problemOf(connection.absence()), ...(isWhole && { names: connection.covered, cursor, session, limits: outbox.limits }) })
  }

  // What the connection of the leader reports.

  /** Channels that other tabs want. */
  names() {
    return this.role === 'leads' ? [...this.#wishes.values()].flatMap(({ names }) => names) : []
  }

  /** Whether this tab reads for others, too. */
  get hasOthers() {
    return this.role === 'leads' && this.#wishes.size > 0
  }

  /** @param {Frame} frame @param {Transport | null} via */
  frame(frame, via) {
    if (this.role === 'leads') this.#say('frame', { frame, via, cursor: this.#host.connection.line?.cursor })
  }

  /** What comes of a channel from now on is complete. @param {string} name @param {string} [id] */
  gained(name, id) {
    if (this.role === 'leads') this.#say('gained', { name, id })
  }

  /** @param {string} name @param {string} [cursor] */
  lost(name, cursor) {
    if (this.role === 'leads') this.#say('lost', { name, cursor })
  }

  /** Frames were left out on the way. @param {string} name @param {any} hole */
  incomplete(name, hole) {
    if (this.role === 'leads') this.#say('incomplete', { name, hole })
  }

  /** @param {string[]} names @param {any} error */
  refused(names, error) {
    if (this.role !== 'leads') return
    this.#say('refused', { names, problem: problemOf(error) })
    for (const wish of this.#wishes.values()) wish.names = wish.names.filter((name) => !names.includes(name))
  }

  /** @param {string} why @param {any} error */
  finished(why, error) {
    if (this.role === 'leads') this.#say('finished', { why, problem: problemOf(error) })
  }

  /** The application of this tab chose a transport: all remember it, and the leader changes. @param {Transport | 'auto'} transport */
  use(transport) {
    if (this.role !== 'alone') this.#say('use', { transport })
  }

  /** Something of the state may have changed, or what this tab wants. */
  synced() {
    if (this.#isTelling) return
    this.#isTelling = true
    queueMicrotask(() => {
      this.#isTelling = false
      if (this.role === 'leads') this.#tell()
      else this.#wish()
    })
  }

  /** A ping of the hub: tabs that say nothing any more are forgotten. */
  beat() {
    if (this.role !== 'leads') return
    const { size } = this.#wishes
    for (const [tab, { at }] of this.#wishes) if (Date.now() - at > WISH_MS) this.#wishes.delete(tab)
    if (size !== this.#wishes.size) this.#host.connection.sync()
    this.#tell(true)
  }

  // What is heard.

  /** @param {any} message */
  #hear(message) {
    const { what, term } = message
    if (what in this.#fromAll) return this.#fromAll[what](message)
    if (this.role === 'leads' && what in this.#toLeader) return this.#toLeader[what](message)
    if (!(what in this.#toFollowers) || term < this.#term) return
    if (term > this.#term) this.#change(term)
    if (this.role === 'leads') return
    this.#isHeard = true
    this.#toFollowers[what](message)
  }

  /** Another tab leads. Whether it goes on just where the last one ended, it cannot know. @param {number} term */
  #change(term) {
    this.#term = term
    if (this.role === 'leads') {
      this.#turn?.abort()
      return this.#abdicate()
    }
    if (this.role === 'alone') return
    this.#uncover()
    this.#isNew = true
    this.#host.outbox.setRoute(undefined)
    this.#wish()
  }

  /** @type {Record<string, (message: any) => any>} */
  #fromAll = {
    wish: ({ from, names, isRenewed }) => {
      this.#wishes.set(from, { names, at: Date.now() })
      if (this.role === 'leads' && !isRenewed) this.#host.connection.sync()
    },
    gone: ({ from }) => {
      this.#wishes.delete(from)
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
      const say = (/** @type {any} */ reply) => this.role === 'leads' && this.#say('reply', { to: from, key, reply })
      try {
        say({ ok: true, ...(await this.#host.outbox.add(encoded, size, undefined, key, deadline).answer) })
      } catch (error) {
        say({ error: replyOf(error, deadline) })
      }
    },
  }

  /** @type {Record<string, (message: any) => any>} */
  #toFollowers = {
    state: (message) => {
      if (message.isBeat) this.#wish(true)
      if (this.role === 'alone') this.#consider(message)
      else this.#adopt(message)
    },
    frame: ({ frame, via, cursor }) => {
      const { line } = this.#host.connection
      if (this.#isNew || !line) return
      line.cursor = cursor
      this.#host.receive(frame, via)
    },
    gained: ({ name, id }) => {
      if (this.#isNew) return
      this.#host.connection.line?.reads.set(name, true)
      this.#host.subscriptions.get(name)?.cover(id)
      if (this.#held && this.#isRead()) this.#release()
    },
    lost: ({ name, cursor }) => {
      if (this.#isNew) return
      this.#host.connection.line?.reads.delete(name)
      this.#host.subscriptions.get(name)?.uncover(cursor)
    },
    incomplete: ({ name, hole }) => !this.#isNew && this.#host.subscriptions.get(name)?.repair(hole),
    reply: ({ to, key, reply }) => {
      if (to !== this.#tab) return
      this.#replies.get(key)?.(reply)
      this.#replies.delete(key)
    },
    refused: ({ names, problem }) => {
      const isOurs = this.#host.connection.ownNames().some((name) => names.includes(name))
      // As the leader it may not read this; as itself it perhaps may.
      if (isOurs && this.#isByDefault) this.#separate()
      else if (this.role === 'follows') this.#host.refuse(names, this.#host.errorOf(problem))
    },
    finished: ({ why, problem }) => {
      if (this.#isByDefault) this.#breakUp()
      else this.#host.finish(why, this.#host.errorOf(problem))
    },
  }

  /** Once what the leader has of this tab is answered, this tab reads for itself. */
  async #separate() {
    if (this.role === 'follows') await this.#host.outbox.drain()
    if (!this.#isOff) this.#breakUp()
  }

  /** A tab that reads for itself follows, once the leader reads all that it wants, or does not for a while. @param {any} state */
  #consider({ session, names = [] }) {
    const { connection, hub } = this.#host
    if (!session || this.#isJoining || hub.transport === 'ws') return
    if (!this.#couldJoinAt) {
      this.#couldJoinAt = Date.now()
      setTimeout(() => this.#wish(), JOIN_MOST_MS)
    }
    if (Date.now() < this.#couldJoinAt + JOIN_MOST_MS && !connection.ownNames().every((name) => names.includes(name))) return
    this.#join()
  }

  /** The stream goes first: it may be what leaves no connection for publishing. */
  async #join() {
    const { connection, outbox } = this.#host
    this.#isJoining = true
    if (!connection.carrier) outbox.setRoute(true)
    this.#uncover()
    connection.park(true)
    await outbox.drain()
    if (!this.#isJoining || !this.#wire) return
    connection.line = undefined
    this.#await()
    this.#wish()
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
    this.#held = { state, transport }
    // A hub that is ready reads what was opened at the start, in whichever tab.
    if (hub.state !== 'connecting' || state !== 'connected' || this.#isRead()) this.#release()
    else this.#heldTimer ??= setTimeout(() => this.#release(), JOIN_MOST_MS)
  }

  /** Whether the leader reads all that this tab wants. */
  #isRead() {
    const { connection } = this.#host
    return connection.ownNames().every((name) => connection.line?.reads.get(name) === true)
  }

  /** This tab's state is the leader's. */
  #release() {
    clearTimeout(this.#heldTimer)
    this.#heldTimer = undefined
    if (!this.#held || this.role !== 'follows') return
    const { state, transport } = this.#held
    this.#held = undefined
    this.#host.change('transport', transport, 'shared')
    this.#host.change('state', state, 'shared', this.#host.connection.problem)
  }
  /** The leader's state, until its channels are read. @type {{state: any, transport: any} | undefined} */
  #held
  /** @type {any} */ #heldTimer

  /** To a follower's outbox the leader is a socket. @param {string} json @param {(reply: any) => void} onReply @param {import('./outbox.js').Entry} entry */
  #send = (json, onReply, { key, encoded, size, deadline }) => {
    this.#replies.set(key, onReply)
    this.#say('send', { key, encoded, size, leftMs: deadline - performance.now() })
  }
}
