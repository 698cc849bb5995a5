/**
 * Reading: one loop of pick (ladder) → read (attachment) → hand over → move the cursor. Knows no transport's
 * ways and no ranking: attachments bring frames, the ladder alone decides which transport is tried when.
 */
import { Attachment } from './attachment.js'
import { ChannelList } from './channel-list.js'
import { TriwayError } from './error.js'
import { MAGIC, wireName } from './frame.js'
import { Ladder } from './ladder.js'
import { elementsOf, membersOf } from './json.js'
import { keep, link, load } from './page.js'
import { absent } from './publish-errors.js'

/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./attachment.js').Line} Line @typedef {import('./cuts.js').Transport} Transport */

/** Steps and facts kept for the report. */
const LOG_MOST = 200
/** The session key lasts an hour at most, and each hello renews it: so long after one, in ms, another is asked for. Twice, if need be. */
const RENEW_MS = 25 * 60_000
/** Longest wait for a session that is renewed, in ms. */
const RENEW_MOST_MS = 5000
/** No answer to the check for the hub, in ms. */
const CHECK_MS = 2500
/** Longest sleep between two ticks of the ladder, in ms: timers count in 31 bits. */
const TICK_MOST_MS = 1e9
/** How long the first page of history lets publishes go before it, in ms. */
const PUBLISH_FIRST_MS = 1500
/** Facts that come with every frame: a report would hold nothing else. */
const FREQUENT = /^(frame|tick|rtt|proof)$/

/**
 * @typedef {object} Owner what reading has of the hub
 * @property {ReturnType<typeof import('./options.js').checkOptions>} options
 * @property {import('./requests.js').Requests} requests
 * @property {import('./outbox.js').Outbox} outbox
 * @property {Map<string, import('./subscription.js').Subscription>} subscriptions
 * @property {(frame: Frame, via: Transport | null) => void} receive
 * @property {(what: 'state' | 'transport', to: any, reason: string, error?: TriwayError) => void} change
 * @property {(session: import('./frame.js').Session) => void} adopt publishes go as this session
 * @property {(why: string, error: TriwayError) => void} finish
 * @property {(names: string[], error: any) => void} refuse
 * @property {(transport: Transport) => void} [opens] an attempt begins
 * @property {() => void} [answered] a request got an answer
 * @property {(ms: number) => void} measured a round trip
 */

export class Connection {
  /** Where reading goes on from: the carrier's, the last one's, or that of the first to say hello. @type {Line | undefined} */
  line
  /** Reads for other tabs, too, or is told by another one. @type {import('./share.js').Sharing | undefined} */
  sharing
  /** Why nothing carries, as far as an answer told. @type {TriwayError | undefined} */
  problem
  /** Another tab reads for this one: the ladder is parked. */
  isParked = false
  /** What was seen and done, for the report. @type {any[][]} */
  log = []
  /** By the number of the attempt. @type {Map<number, Attachment>} */
  #attachments = new Map()
  /** @type {Attachment | undefined} */
  #carrier
  #ladder
  #owner
  #list
  #isEnded = false
  #renewAt = 0
  #pingAt = 0
  #pingMs = 0
  /** @type {any} */
  #timer
  /** Asked for before there was a session to go on with. @type {Transport | 'auto' | undefined} */
  #wish
  /** Resolves while something carries. @type {Promise<void>} */
  #carried = Promise.resolve()
  #resolveCarried = () => {}
  /** A check for the hub that is under way. @type {Promise<any> | undefined} */
  #checking

  /** @param {Owner} owner */
  constructor(owner) {
    this.#owner = owner
    this.#list = new ChannelList(owner, this)
    this.#awaitCarrier()
    this.#ladder = new Ladder({ transports: owner.options.transports, random: Math.random, memory: load(owner.requests.base), link: link() })
  }

  #awaitCarrier() {
    this.#carried = new Promise((resolve) => (this.#resolveCarried = resolve))
  }

  get learned() {
    return this.#ladder.learned
  }

  /** The names that the cursor covers. */
  get covered() {
    return [...(this.line?.reads ?? [])].filter(([, start]) => start === true).map(([name]) => name)
  }

  /** Whether another list of channels is being attached. */
  get isReopening() {
    return [...this.#attachments.values()].some((attachment) => attachment !== this.#carrier && attachment.step.why === 'channels')
  }

  get carrier() {
    return this.#carrier
  }

  // What the ladder is told, and what it wants.

  /** @param {import('./rungs.js').FactType} type @param {import('./rungs.js').Fact} [fact] */
  observe(type, fact) {
    if (this.#isEnded || this.isParked) return
    const now = Date.now()
    const steps = this.#ladder.observe(now, type, fact)
    if (!FREQUENT.test(type)) this.#note(now, type, fact)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.observe('tick'), Math.min(this.#ladder.wakeAt - now, TICK_MOST_MS))
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
    else if (step.do === 'state') this.#owner.change('state', step.state, step.why, step.state === 'captive' ? this.absence() : undefined)
    else if (step.do === 'check') this.isHubThere()
    else if (step.do === 'remember') this.#remember()
  }

  /** @param {any[]} entry */
  #note(...entry) {
    if (this.log.push(entry) > LOG_MOST) this.log.shift()
  }

  #remember() {
    keep(this.#owner.requests.base, this.#ladder.memory)
  }

  /** @param {import('./attachment.js').Open} step */
  #open(step) {
    const { line } = this
    this.#owner.opens?.(step.transport)
    const reads = new Map(this.wanted().map((name) => [name, line && line.reads.get(name) !== true ? 'now' : /** @type {const} */ (true)]))
    // Of several that begin without a session only one may show itself: each would be somebody else.
    const isShown = !!line || !this.#attachments.size
    const { options, requests } = this.#owner
    const context = { options, requests, onFrame: this.#onFrame, ended: this.#ended, away: (/** @type {Attachment} */ { id }) => this.observe('away', { id }) }
    this.#attachments.set(step.id, new Attachment(step, { reads, cursor: line?.cursor, session: line?.session }, isShown, context))
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
    } else if (this.line !== attachment.line) {
      this.#uncover(attachment.line, this.line)
      if (attachment.step.why === 'channels') this.sync()
    }
  }

  /** @param {{id: number, why: string}} step */
  #carry({ id, why }) {
    const attachment = /** @type {Attachment} */ (this.#attachments.get(id))
    const before = this.line
    this.#carrier = attachment
    this.problem = undefined
    this.#resolveCarried()
    this.#resolveRenewed()
    this.line = attachment.line
    // What was joined while this one was opened is read on from where the old line has read it to.
    if (before && before !== attachment.line) this.#uncover(before, attachment.line)
    this.#adopt(attachment)
    this.#owner.change('transport', attachment.transport, why)
    this.sync()
    this.#remember()
  }

  /** What one line covers and the other does not. @param {Line} line @param {Line | undefined} other */
  #uncover({ reads, cursor }, other) {
    for (const [name, start] of reads) if (start === true && other?.reads.get(name) !== true) this.lose(name, cursor)
  }

  /** Of this channel something may be missed from here on. @param {string} name @param {string} [cursor] */
  lose(name, cursor) {
    this.#owner.subscriptions.get(name)?.uncover(cursor)
    this.sharing?.lost(name, cursor)
  }

  /** What comes of this channel from here on is complete. @param {string} name @param {string} [id] */
  gain(name, id) {
    this.#owner.subscriptions.get(name)?.cover(id)
    this.sharing?.gained(name, id)
  }

  /** Publishes go by this attachment, as its session. @param {Attachment} attachment */
  #adopt(attachment) {
    const session = /** @type {import('./frame.js').Session} */ (attachment.line.session)
    this.#owner.adopt(session)
    this.#owner.outbox.setRoute(attachment.socket ? (json, onReply) => attachment.command(json, onReply) : true, session.id)
  }

  // What attachments report.

  /** @param {Attachment} attachment @param {any} frame */
  #onFrame = (attachment, frame) => {
    const { type } = frame
    if (type === 'hello') this.#hello(attachment, frame)
    else if (type === 'refused') for (const { channel, error } of frame.channels) this.#list.refused(channel, error)
    else if (type === 'incomplete') return this.#repair(attachment, frame)
    else if (type === 'event' || type === 'gap') this.#receive(frame, attachment.transport)
    if (type !== 'mute' && !attachment.socket) this.#owner.answered?.()
    if (type !== 'mute') this.observe('frame', { id: attachment.id, time: frame.time, ping: type === 'ping', event: type === 'event' || type === 'gap' })
    else if (attachment === this.#carrier) return this.observe(type)
    if (type === 'end') this.observe('proof', { id: attachment.id })
    if (type === 'ping') this.sharing?.beat()
    if (attachment === this.#carrier) this.#alive(attachment)
  }

  /** @param {Frame} frame @param {Transport | null} via */
  #receive(frame, via) {
    this.sharing?.frame(frame, via)
    this.#owner.receive(frame, via)
  }

  /** @param {Attachment} attachment @param {Frame} frame */
  #hello(attachment, { id = '', after, channels = [], places = {}, behind, limits, heartbeat: beat = 0, network, build }) {
    const { credentials } = this.#owner.requests
    credentials.accepted()
    if (limits) this.#owner.outbox.limits = limits
    // A poll may find in mid-chain that the hub no longer knows its session.
    if (attachment === this.#carrier) this.#adopt(attachment)
    this.#renewAt = Date.now() + RENEW_MS
    // Before the next heartbeat, whose frame is what reminds us.
    this.#pingMs = 900 * beat
    const before = this.line
    if (!before) this.line = attachment.line
    for (const name of new Set(/** @type {string[]} */ (channels).map(wireName))) {
      if (behind && before?.reads.get(name) === true) this.lose(name, before === attachment.line ? after : before.cursor)
      this.gain(name, behind ? undefined : (places[name] ?? id))
    }
    // Hubs that state their limits send lone pings, on everything but polls.
    this.observe('hello', { id: attachment.id, beat, network, build, probes: !!limits && attachment.transport !== 'poll' })
    if (attachment.socket) this.#ping(attachment)
    if (!before) this.#restartOthers(attachment)
    this.sharing?.synced()
  }

  /** The first hello is the line that all others continue, as its session. What was opened beside it begins elsewhere, as somebody else, who leaves: it begins again. @param {Attachment} attachment */
  #restartOthers(attachment) {
    for (const other of [...this.#attachments.values()]) {
      if (other === attachment) continue
      other.stop(1000)
      this.#open(other.step)
    }
    if (this.#wish) this.use(this.#wish)
  }

  /** The hub sent more than came: what is missing is read again. @param {Attachment} attachment @param {any} hole */
  #repair(attachment, { since, upTo, arrived, isKnown }) {
    for (const [name, start] of attachment.line.reads) {
      if (start !== true || !since) continue
      if (isKnown) {
        this.#owner.subscriptions.get(name)?.repair({ since, upTo, arrived })
        this.sharing?.incomplete(name, { since, upTo, arrived })
      } else this.#receive({ type: 'gap', channel: name, after: since, id: upTo, reason: 'incomplete' }, attachment.transport)
    }
    this.observe('incomplete', { id: attachment.id })
  }

  /** @param {Attachment} attachment @param {string} why @param {TriwayError | undefined} error */
  #ended = (attachment, why, error) => {
    const { id, transport } = attachment
    const isCarrier = attachment === this.#carrier
    if (error?.kind === 'final') {
      if (this.#isOver(attachment, error)) return this.#owner.finish(why, this.absence(error))
      why = 'error'
    }
    if (error && error.kind !== 'final') this.problem = error
    // A cut that our own message caused says nothing of the network.
    const isOurs = isCarrier && transport === 'ws' && !error && this.#owner.outbox.wasCutBy(attachment.closeCode)
    this.#drop({ id, why })
    this.observe('ended', { id, why, planned: isOurs || error?.isPlanned, foreign: error?.kind === 'foreign', afterMs: error?.afterMs })
  }

  /** Why nothing carries, and where. @param {any} [problem] */
  absence(problem = this.problem) {
    return absent(problem, this.#owner.requests.base)
  }

  /** Whether a final refusal ends everything, or only what was new. @param {Attachment} attachment @param {TriwayError} error */
  #isOver(attachment, error) {
    if (error.refused) {
      for (const { channel, error: its } of error.refused) this.#owner.refuse([channel], its)
      return false
    }
    const carrier = this.#carrier
    // A cookie may be lost on one transport alone.
    if (error.code === 'unauthorized' && !error.credential) {
      this.#unknownBy.add(attachment.transport)
      return this.#owner.options.transports.every((transport) => this.#unknownBy.has(transport))
    }
    // An attempt beside the carrier may be one too many for the session.
    if (carrier && attachment !== carrier && error.code === 'newer') return false
    const joined = carrier ? [...attachment.line.reads.keys()].filter((name) => !carrier.line.reads.has(name)) : []
    if (!joined.length || /^(unauthorized|origin_refused|host_refused)$/.test(error.code)) return true
    this.#owner.refuse(joined, error)
    return false
  }

  /** Names that should be read now, of other tabs too. */
  wanted() {
    return this.#list.wanted()
  }

  /** Those of this tab alone. */
  ownNames() {
    return this.#list.ownNames()
  }

  /** Soon brings what is read in line with what is wanted. */
  sync() {
    this.#list.sync()
  }

  // What is said besides reading.

  /** @returns {Promise<boolean>} whether the hub answers */
  async isHubThere() {
    const found = await (this.#checking ??= this.#checkHub())
    this.#checking = undefined
    return found
  }

  async #checkHub() {
    await this.#owner.requests.turn()
    const askedAt = Date.now()
    /** @type {any} */
    const fact = await this.#owner.requests.ask('healthz', {}, undefined, CHECK_MS).then(
      ({ magic }) => ({ ok: magic === MAGIC, foreign: magic !== MAGIC }),
      (error) => {
        if (!this.#carrier) this.problem = error
        return { ok: error.kind === 'altered', foreign: error.kind === 'foreign', afterMs: error.afterMs }
      },
    )
    this.observe('checked', { ...fact, ms: Date.now() - askedAt })
    return fact.ok
  }

  /** Sends the heartbeat ping, and renews the session, where they are due. @param {Attachment} attachment */
  #alive(attachment) {
    const now = Date.now()
    if (now > this.#renewAt) this.renew()
    // On SSE nothing goes back by itself, and presence is judged by a ping each heartbeat; so is whether a
    // connection is left for other tabs, where these cannot ask. On WebSocket what goes back by itself may be
    // lost, or answered by a proxy.
    const isNeeded = (this.#list.isShown() && attachment.isShown) || !globalThis.BroadcastChannel
    if (now >= this.#pingAt && (attachment.socket || (isNeeded && attachment.transport === 'sse'))) {
      this.#pingAt = now + this.#pingMs
      this.#ping(attachment)
    }
  }

  /** The first that is answered proves a WebSocket; on SSE the request measures itself. @param {Attachment} attachment */
  #ping(attachment) {
    const sentAt = Date.now()
    if (!attachment.socket) {
      const { requests, outbox } = this.#owner
      requests.command('[{"type":"ping"}]').catch(({ kind }) => kind === 'hung' && outbox.doubt(sentAt))
      return
    }
    attachment.command('{"type":"ping"}', ({ ok }) => {
      if (!ok) return
      const ms = Date.now() - sentAt
      // The reply on a path that delays each frame until the next one says nothing of the network.
      if (!this.#carrier || attachment === this.#carrier) this.#owner.measured(ms)
      this.observe('proof', { id: attachment.id, ms })
    })
  }

  /** A page of history by the carrier's WebSocket, or by a request. @param {string} channel @param {string} since @param {number} bytes @returns {Promise<string>} */
  async history(channel, since, bytes) {
    // The path is proven first, and what waits to be published leaves before.
    if (!this.isParked) await this.#carried
    if (!this.#hasYielded) await this.#owner.outbox.idle(PUBLISH_FIRST_MS)
    this.#hasYielded = true
    const carrier = this.#carrier
    if (!carrier?.socket) return this.#requestHistory(channel, since, bytes)
    return new Promise((resolve, reject) => {
      carrier.command(JSON.stringify({ type: 'history', channel, since, bytes, limit: 1000 }), ({ ok, json = '', error }) => {
        if (ok) resolve(json)
        else reject(historyRefusal(error))
      })
    })
  }

  /** @param {string} channel @param {string} since @param {number} bytes @returns {Promise<string>} */
  async #requestHistory(channel, since, bytes) {
    const { requests } = this.#owner
    try {
      return await requests.askText('history', { channels: channel, since, bytes, limit: 1000 })
    } catch (/** @type {any} */ error) {
      if (error.code === 'session_expired') this.renew()
      if (error.kind !== 'altered') throw error
      // The address was cut on its way.
      const [reply] = elementsOf(await requests.commandText(JSON.stringify([{ type: 'history', channel, since, bytes, limit: 1000 }])))
      const { error: refusal } = membersOf(reply)
      if (refusal) throw historyRefusal(JSON.parse(refusal))
      return reply
    }
  }

  /** A hello renews the session key. */
  renew() {
    this.#renewAt = Date.now() + RENEW_MS
    if (this.#attachments.size < 2) this.observe('reopen')
  }

  /** Resolves when a session carries that was made after this, or after a while: whoever waits asks again then. @returns {Promise<void>} */
  renewed() {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, RENEW_MOST_MS)
      this.#waiting.push(() => resolve(clearTimeout(timer)))
      this.renew()
    })
  }

  /** Another tab reads, and told where it is. @param {Line} line */
  follow(line) {
    this.line = line
    this.#resolveRenewed()
  }

  #resolveRenewed() {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
  /** @type {(() => void)[]} */
  #waiting = []
  /** The first page of history has let publishes go before it. */
  #hasYielded = false
  /** Transports on which the hub found no credential. @type {Set<Transport>} */
  #unknownBy = new Set()

  /** Presence ends at once. */
  leave() {
    if (!this.sharing?.hasOthers && this.#carrier?.isShown && this.#list.isShown()) this.#carrier.command('{"type":"leave"}')
  }

  /** @param {Transport | 'auto'} transport */
  use(transport) {
    // A second attachment beside a hello that is on its way would be another session.
    const isEarly = !this.line && this.#attachments.size
    this.#wish = isEarly || this.isParked ? transport : undefined
    if (!isEarly) this.observe('use', { transport })
  }

  /** Another tab reads from now on, or none. @param {boolean} [isOver] the session ends with it */
  park(isOver = false) {
    if (isOver) this.leave()
    this.isParked = true
    this.#resolveCarried()
    clearTimeout(this.#timer)
    // What it would do is done here, without a change of state.
    this.#ladder.observe(Date.now(), 'pause')
    for (const attachment of this.#attachments.values()) attachment.stop(isOver ? 1000 : undefined)
    this.#attachments.clear()
    this.#carrier = undefined
  }

  start() {
    this.isParked = false
    this.observe('start')
    if (this.#wish) this.use(this.#wish)
  }

  /** @param {string} why */
  end(why) {
    if (this.#isEnded) return
    this.#isEnded = true
    clearTimeout(this.#timer)
    this.#resolveRenewed()
    this.#list.end()
    for (const id of [...this.#attachments.keys()]) this.#drop({ id, why })
  }
}

/** Why a page of history is not to be had, by a reply. @param {any} error */
const historyRefusal = (error) => new TriwayError(error?.code ?? 'closed', { ...error, kind: error?.code === 'closed' || (error?.status ?? 500) >= 429 ? 'passing' : 'final' })
