/**
 * Reading: one loop of choosing (ladder), reading (attachment), handing over frames and moving the cursor.
 * Attachments bring frames, and the ladder decides which transport is tried when. Knows the details of no
 * transport and no order of transports.
 *
 * States: `isParked` (another tab reads, so the ladder observes nothing), trying (attachments, but no carrier),
 * carrying (`carrier` is set), ended. Facts go to the ladder by `observe`, and its steps are performed here.
 */
import { Attachment } from './attachment.js'
import { ChannelList } from './channel-list.js'
import { TriwayError } from './error.js'
import { MAGIC, wireName } from './frame.js'
import { Ladder } from './ladder.js'
import { loadMemory, networkType, saveMemory } from './page.js'
import { hubUnavailable } from './publish-errors.js'
import { Renewal } from './renewal.js'

/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./attachment.js').Position} Position @typedef {import('./rungs.js').Transport} Transport */

/** Facts and steps kept for the report. */
const LOG_MAX = 200
/** Longest wait for the answer to a check for the hub, in ms. */
const CHECK_MS = 2500
/** Longest sleep between two ticks of the ladder, in ms: timers count in 31 bits. */
const TICK_MAX_MS = 1e9
/** The `VERSION` of adaptation.js that this ladder works with: the hub may serve the part of a newer build. */
const ADAPTATION_VERSION = 1
/** Facts that the log leaves out: most come with every frame, and would fill it. */
const UNREPORTED = /^(frame|tick|rtt|proof|adapt)$/

/**
 * @typedef {object} Owner what the connection uses of the hub
 * @property {ReturnType<typeof import('./options.js').checkOptions>} options
 * @property {import('./requests.js').Requests} requests
 * @property {import('./outbox.js').Outbox} outbox
 * @property {Map<string, import('./subscription.js').Subscription>} subscriptions
 * @property {(frame: Frame, via: Transport | null) => void} receive
 * @property {(what: 'state' | 'transport', to: any, reason: string, error?: TriwayError) => void} change
 * @property {(session: import('./frame.js').Session) => void} adopt publishes belong to this session from now on
 * @property {(why: string, error: TriwayError) => void} finish
 * @property {(names: string[], error: any) => void} refuse
 * @property {(transport: Transport) => void} [onOpen] an attempt begins
 * @property {() => void} [onAnswer] a request got an answer
 * @property {(ms: number) => void} onRoundTrip a round trip
 */

export class Connection {
  /** Where reading continues: the position of the carrier, of the last carrier, or of the first attachment that received hello. @type {Position | undefined} */
  position
  /** Set where tabs share one connection. @type {import('./share.js').Sharing | undefined} */
  sharing
  /** Why nothing carries, as far as an answer showed it. @type {TriwayError | undefined} */
  problem
  /** Another tab reads for this one: the ladder observes nothing. */
  isParked = false
  /** Facts and steps, for the report. @type {any[][]} */
  log = []
  /** By id of the attempt. @type {Map<number, Attachment>} */
  #attachments = new Map()
  /** @type {Attachment | undefined} */
  #carrier
  #ladder
  #owner
  #list
  #renewal
  #isEnded = false
  /** @type {import('./frame.js').Session | undefined} */
  #exchanged
  #pingAt = 0
  #pingMs = 0
  /** @type {any} */
  #timer
  /** What the application chose while there was no session to continue. @type {Transport | 'auto' | undefined} */
  #requestedTransport
  /** Resolves while something carries. @type {Promise<void>} */
  #carried = Promise.resolve()
  #resolveCarried = () => {}
  /** The check for the hub that is under way. @type {Promise<any> | undefined} */
  #checking

  /** @param {Owner} owner */
  constructor(owner) {
    this.#owner = owner
    this.#list = new ChannelList(owner, this)
    this.#renewal = new Renewal(owner.requests.credentials, () => {
      // A change of transport or of channels is under way.
      if (this.#attachments.size > 1) return false
      this.observe('reopen')
      return true
    })
    this.#awaitCarrier()
    this.#ladder = new Ladder({ transports: owner.options.transports, random: Math.random, memory: loadMemory(owner.requests.base), networkType: networkType() })
  }

  #awaitCarrier() {
    this.#carried = new Promise((resolve) => (this.#resolveCarried = resolve))
  }

  /** Resolves when a transport carries; at once where another tab reads. @returns {Promise<void>} */
  whenCarried() {
    return this.isParked ? Promise.resolve() : this.#carried
  }

  /** The session of requests. @type {import('./frame.js').Session | undefined} */
  get session() {
    return this.position?.session ?? this.#exchanged
  }

  /** A long token was exchanged for a session key. @param {import('./frame.js').Session} session */
  takeSession(session) {
    this.#exchanged = session
    // Attachments share this object.
    if (this.position?.session) this.position.session.key = session.key
  }

  get learned() {
    return this.#ladder.learned
  }

  /** The names that the cursor covers. */
  get covered() {
    return [...(this.position?.reads ?? [])].filter(([, start]) => start === true).map(([name]) => name)
  }

  /** Whether another list of channels is being attached. */
  get isReopening() {
    return [...this.#attachments.values()].some((attachment) => attachment !== this.#carrier && attachment.step.why === 'channels')
  }

  get carrier() {
    return this.#carrier
  }

  // Facts to the ladder, and steps from it.

  /** @param {import('./rungs.js').FactType} type @param {import('./rungs.js').Fact} [fact] */
  observe(type, fact) {
    if (this.#isEnded || this.isParked) return
    const now = Date.now()
    const steps = this.#ladder.observe(now, type, fact)
    if (!UNREPORTED.test(type)) this.#note(now, type, fact)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.observe('tick'), Math.min(this.#ladder.wakeAt - now, TICK_MAX_MS))
    for (const step of steps) {
      this.#note(now, step.do, step)
      this.#perform(step)
    }
  }

  /** @param {any} step */
  #perform(step) {
    if (this.#isEnded) return
    if (step.do === 'open') this.#open(step)
    else if (step.do === 'close') this.#drop(step)
    else if (step.do === 'carry') this.#carry(step)
    else if (step.do === 'state') this.#owner.change('state', step.state, step.why, step.state === 'captive' ? this.unavailable() : undefined)
    else if (step.do === 'check') this.isHubThere()
    else if (step.do === 'remember') this.#remember()
  }

  /** @param {any[]} entry */
  #note(...entry) {
    if (this.log.push(entry) > LOG_MAX) this.log.shift()
  }

  #remember() {
    saveMemory(this.#owner.requests.base, this.#ladder.memory)
  }

  /** @param {import('./attachment.js').Open} step */
  #open(step) {
    const { position } = this
    this.#owner.onOpen?.(step.transport)
    const reads = new Map(this.wanted().map((name) => [name, position && position.reads.get(name) !== true ? 'now' : /** @type {const} */ (true)]))
    // Attachments that begin without a session each get a session of their own. Only one of them may appear in presence.
    const showsPresence = !!position || !this.#attachments.size
    const { options, requests } = this.#owner
    const context = { options, requests, onFrame: this.#onFrame, onEnded: this.#onEnded, onGatewayError: (/** @type {Attachment} */ { id }) => this.observe('away', { id }) }
    this.#attachments.set(step.id, new Attachment(step, { reads, cursor: position?.cursor, session: position?.session }, showsPresence, context))
  }

  /** @param {{id: number, why?: string}} step */
  #drop({ id, why = 'closed' }) {
    const attachment = this.#attachments.get(id)
    if (!attachment) return
    attachment.stop()
    this.#attachments.delete(id)
    if (attachment === this.#carrier) {
      this.#carrier = undefined
      this.#awaitCarrier()
      this.#owner.outbox.setRoute(undefined)
      this.#owner.change('transport', null, attachment.transport + ':' + why)
    } else if (this.position !== attachment.position) {
      this.#uncoverRest(attachment.position, this.position)
      if (attachment.step.why === 'channels') this.sync()
    }
  }

  /** @param {{id: number, why: string}} step */
  #carry({ id, why }) {
    const attachment = /** @type {Attachment} */ (this.#attachments.get(id))
    const before = this.position
    this.#carrier = attachment
    this.problem = undefined
    this.#resolveCarried()
    this.#renewal.resolve()
    this.position = attachment.position
    // Channels that were joined while this attachment was opened continue at the old position.
    if (before && before !== attachment.position) this.#uncoverRest(before, attachment.position)
    this.#adopt(attachment)
    this.#owner.change('transport', attachment.transport, why)
    this.sync()
    this.#remember()
    this.#adapt()
  }

  /** Loads the rules for the time after the first connection. If that fails, it is tried again when the next attempt carries. */
  async #adapt() {
    if (this.#isAdapting) return
    this.#isAdapting = true
    const part = await import('./adaptation.js').catch(() => undefined)
    if (part?.VERSION === ADAPTATION_VERSION && !this.isParked) this.observe('adapt', { adaptation: new part.Adaptation() })
    else this.#isAdapting = false
  }
  #isAdapting = false

  /** Uncovers the channels that one position covers and the other does not. @param {Position} position @param {Position | undefined} other */
  #uncoverRest({ reads, cursor }, other) {
    for (const [name, start] of reads) if (start === true && other?.reads.get(name) !== true) this.uncover(name, cursor)
  }

  /** From here on events of this channel may be missed. @param {string} name @param {string} [cursor] */
  uncover(name, cursor) {
    this.#owner.subscriptions.get(name)?.uncover(cursor)
    this.sharing?.uncovered(name, cursor)
  }

  /** From here on this channel is complete. @param {string} name @param {string} [id] */
  cover(name, id) {
    this.#owner.subscriptions.get(name)?.cover(id)
    this.sharing?.covered(name, id)
  }

  /** Publishes take this attachment, as its session. @param {Attachment} attachment */
  #adopt(attachment) {
    const session = /** @type {import('./frame.js').Session} */ (attachment.position.session)
    this.#owner.adopt(session)
    this.#owner.outbox.setRoute(attachment.socket ? (json, onReply) => attachment.command(json, onReply) : true, session.id)
  }

  // What attachments report.

  /** @param {Attachment} attachment @param {any} frame */
  #onFrame = (attachment, frame) => {
    const { type } = frame
    if (type === 'hello') this.#onHello(attachment, frame)
    else if (type === 'refused') for (const { channel, error } of frame.channels) this.#list.refused(channel, error)
    else if (type === 'incomplete') return this.#repair(attachment, frame)
    else if (type === 'event' || type === 'gap') this.#receive(frame, attachment.transport)
    if (type !== 'mute' && !attachment.socket) this.#owner.onAnswer?.()
    if (type !== 'mute') this.observe('frame', { id: attachment.id, time: frame.time, ping: type === 'ping', event: type === 'event' || type === 'gap' })
    else if (attachment === this.#carrier) return this.observe(type)
    if (type === 'end') this.observe('proof', { id: attachment.id })
    if (type === 'ping') this.sharing?.beat()
    if (attachment === this.#carrier) this.#onActivity(attachment)
  }

  /** @param {Frame} frame @param {Transport | null} via */
  #receive(frame, via) {
    this.sharing?.frame(frame, via)
    this.#owner.receive(frame, via)
  }

  /** @param {Attachment} attachment @param {Frame} frame */
  #onHello(attachment, { id = '', after, channels = [], places = {}, behind, limits, heartbeat: beat = 0, network, build, session }) {
    const { credentials } = this.#owner.requests
    credentials.accepted()
    if (limits) this.#owner.outbox.limits = limits
    // A chain of polls may get another session when the hub no longer knows the old one.
    if (attachment === this.#carrier) this.#adopt(attachment)
    if (session) this.#renewal.observeHello(session.expires_in)
    // A little less than a heartbeat, since frames of the hub are what triggers the next ping.
    this.#pingMs = 900 * beat
    const before = this.position
    if (!before) this.position = attachment.position
    for (const name of new Set(/** @type {string[]} */ (channels).map(wireName))) {
      if (behind && before?.reads.get(name) === true) this.uncover(name, before === attachment.position ? after : before.cursor)
      this.cover(name, behind ? undefined : (places[name] ?? id))
    }
    // Hubs that state their limits send lone pings, except on polls.
    this.observe('hello', { id: attachment.id, beat, network, build, probes: !!limits && attachment.transport !== 'poll' })
    if (attachment.socket) this.#ping(attachment)
    if (!before) this.#restartOthers(attachment)
    this.sharing?.synced()
  }

  /** The first hello sets the session and the position for all attachments. The others began with a session and a position of their own, so they leave and begin again. @param {Attachment} attachment */
  #restartOthers(attachment) {
    for (const other of [...this.#attachments.values()]) {
      if (other === attachment) continue
      other.stop(1000)
      this.#open(other.step)
    }
    if (this.#requestedTransport) this.use(this.#requestedTransport)
  }

  /** The hub sent more than arrived: what is missing is read again. @param {Attachment} attachment @param {any} missing */
  #repair(attachment, { since, upTo, arrived, isKnown }) {
    for (const [name, start] of attachment.position.reads) {
      if (start !== true || !since) continue
      if (isKnown) {
        this.#owner.subscriptions.get(name)?.repair({ since, upTo, arrived })
        this.sharing?.incomplete(name, { since, upTo, arrived })
      } else this.#receive({ type: 'gap', channel: name, after: since, id: upTo, reason: 'incomplete' }, attachment.transport)
    }
    this.observe('incomplete', { id: attachment.id })
  }

  /** @param {Attachment} attachment @param {string} why @param {TriwayError | undefined} error */
  #onEnded = (attachment, why, error) => {
    const { id, transport } = attachment
    const isCarrier = attachment === this.#carrier
    if (error?.kind === 'final') {
      if (this.#isOver(attachment, error)) return this.#owner.finish(why, this.unavailable(error))
      why = 'error'
    }
    if (error && error.kind !== 'final') this.problem = error
    // The hub does not accept the session key, so the next attachment begins another session at the same cursor.
    if (error?.code === 'session_expired') {
      this.#exchanged = undefined
      if (this.position) this.position.session = undefined
      this.#owner.requests.credentials.forgetExchange()
    }
    // A cut that a message of this client caused shows nothing about the network.
    const isOurs = isCarrier && transport === 'ws' && !error && this.#owner.outbox.wasCutBy(attachment.closeCode)
    this.#drop({ id, why })
    this.observe('ended', { id, why, planned: isOurs || error?.isPlanned, foreign: error?.kind === 'foreign', afterMs: error?.afterMs })
  }

  /** Why nothing carries, with the address of the hub. @param {any} [problem] */
  unavailable(problem = this.problem) {
    return hubUnavailable(problem, this.#owner.requests.base)
  }

  /** Whether a final refusal ends the hub, or only the channels that were new. @param {Attachment} attachment @param {TriwayError} error */
  #isOver(attachment, error) {
    if (error.refused) {
      for (const { channel, error: its } of error.refused) this.#owner.refuse([channel], its)
      return false
    }
    const carrier = this.#carrier
    // A cookie may be lost on one transport only.
    if (error.code === 'unauthorized' && !error.credential) {
      this.#unknownBy.add(attachment.transport)
      return this.#owner.options.transports.every((transport) => this.#unknownBy.has(transport))
    }
    // Next to the carrier, an attempt may be one attachment too many for its session.
    if (carrier && attachment !== carrier && error.code === 'newer') return false
    const joined = carrier ? [...attachment.position.reads.keys()].filter((name) => !carrier.position.reads.has(name)) : []
    if (!joined.length || /^(unauthorized|origin_refused|host_refused)$/.test(error.code)) return true
    this.#owner.refuse(joined, error)
    return false
  }

  /** Names of channels to read, those of other tabs included. */
  wanted() {
    return this.#list.wanted()
  }

  /** Names of channels that this tab reads. */
  ownNames() {
    return this.#list.ownNames()
  }

  /** Compares, in a microtask, the channels that are read with those that should be. */
  sync() {
    this.#list.sync()
  }

  // Checks, pings and the session.

  /** @returns {Promise<boolean>} whether the hub answers */
  async isHubThere() {
    const found = await (this.#checking ??= this.#checkHub())
    this.#checking = undefined
    return found
  }

  async #checkHub() {
    await this.#owner.requests.waitForTurn()
    const requestedAt = Date.now()
    /** @type {any} */
    const fact = await this.#owner.requests.request('healthz', {}, undefined, CHECK_MS).then(
      ({ magic }) => ({ ok: magic === MAGIC, foreign: magic !== MAGIC }),
      (error) => {
        if (!this.#carrier) this.problem = error
        return { ok: error.kind === 'altered', foreign: error.kind === 'foreign', afterMs: error.afterMs }
      },
    )
    this.observe('checked', { ...fact, ms: Date.now() - requestedAt })
    return fact.ok
  }

  /** Sends the heartbeat ping, and renews the session, if it is time. @param {Attachment} attachment */
  #onActivity(attachment) {
    const now = Date.now()
    this.#renewal.onFrame()
    // SSE sends nothing back, so the hub judges presence by a ping each heartbeat. Without BroadcastChannel the
    // ping also shows whether the browser has a connection left for requests. On WebSocket the automatic pong
    // is not enough: it may be lost, or come from a proxy.
    const isNeeded = (this.#list.showsPresence() && attachment.showsPresence) || !globalThis.BroadcastChannel
    if (now >= this.#pingAt && (attachment.socket || (isNeeded && attachment.transport === 'sse'))) {
      this.#pingAt = now + this.#pingMs
      this.#ping(attachment)
    }
  }

  /** The first answered ping proves a WebSocket. On SSE the request itself measures the round trip. @param {Attachment} attachment */
  #ping(attachment) {
    const sentAt = Date.now()
    if (!attachment.socket) {
      const { requests, outbox } = this.#owner
      requests.command('[{"type":"ping"}]').catch(({ kind }) => kind === 'hung' && outbox.checkHub(sentAt))
      return
    }
    attachment.command('{"type":"ping"}', ({ ok }) => {
      if (!ok) return
      const ms = Date.now() - sentAt
      // On an attachment that does not carry yet, the reply may have waited for the next frame, and measures nothing.
      if (!this.#carrier || attachment === this.#carrier) this.#owner.onRoundTrip(ms)
      this.observe('proof', { id: attachment.id, ms })
    })
  }

  /** Requests another token, and attaches again: a hello renews the session. */
  renew() {
    this.#renewal.begin()
  }

  /** Resolves when a session made after this call carries, or after a while; the caller then requests again. */
  renewed() {
    return this.#renewal.whenRenewed()
  }

  /** Another tab reads, and sent its position. @param {Position} position */
  follow(position) {
    this.position = position
    this.#renewal.resolve()
  }

  /** Transports on which the hub found no credential. @type {Set<Transport>} */
  #unknownBy = new Set()

  /** Leaves presence at once, without the grace of the hub. */
  leave() {
    if (!this.sharing?.hasOthers && this.#carrier?.showsPresence && this.#list.showsPresence()) this.#carrier.command('{"type":"leave"}')
  }

  /** @param {Transport | 'auto'} transport */
  use(transport) {
    // Before the first hello, a second attachment would be another session.
    const isEarly = !this.position && this.#attachments.size
    this.#requestedTransport = isEarly || this.isParked ? transport : undefined
    if (!isEarly) this.observe('use', { transport })
  }

  /** Stops reading in this tab. @param {boolean} [isOver] the session ends with it */
  park(isOver = false) {
    if (isOver) this.leave()
    this.isParked = true
    this.#resolveCarried()
    clearTimeout(this.#timer)
    // Its steps are performed here, without a change of state.
    this.#ladder.observe(Date.now(), 'pause')
    for (const attachment of this.#attachments.values()) attachment.stop(isOver ? 1000 : undefined)
    this.#attachments.clear()
    this.#carrier = undefined
  }

  start() {
    this.isParked = false
    this.observe('start')
    if (this.#requestedTransport) this.use(this.#requestedTransport)
  }

  /** @param {string} why */
  end(why) {
    if (this.#isEnded) return
    this.#isEnded = true
    clearTimeout(this.#timer)
    this.#renewal.end()
    this.#list.end()
    for (const id of [...this.#attachments.keys()]) this.#drop({ id, why })
  }
}
