/**
 * The hub as the page sees it: one loop of pick (ladder) → read (attach) → dispatch → move the cursor.
 * Its state is the closure of `connect`. Knows no wire's ways and no ranking: the wires bring frames,
 * the ladder alone decides which transport is tried when.
 */
import { newAsking } from './ask.js'
import { newAttach } from './attach.js'
import { newChannel, tell } from './channel.js'
import { atOrBelow, bytesOf, MAGIC, newNonce, TriwayError, wireName } from './frame.js'
import { newLadder } from './ladder.js'
import { link, load, keep, watchPage } from './page.js'
import { newSending } from './send.js'

export { TriwayError }

/**
 * @typedef {import('./cuts.js').Transport} Transport
 * @typedef {import('./channel.js').Channel} Channel
 * @typedef {import('./channel.js').ChannelEventMap} ChannelEventMap
 * @typedef {import('./channel.js').Received} Received
 * @typedef {import('./channel.js').Member} Member
 * @typedef {import('./frame.js').Frame} Frame
 * @typedef {import('./attach.js').Attach} Attach
 *
 * @typedef {object} Options
 * @property {string | (() => string | Promise<string>)} [token] asked again when refused or expired
 * @property {Transport[]} [transports] allowed; the order is a preference
 * @property {any} [info] shown in presence
 * @property {AbortSignal} [signal] closes the hub
 * @property {number} [heartbeat] seconds
 * @property {boolean} [share] one tab of this origin reads for all
 * @property {typeof globalThis.fetch} [fetch] where the platform has none, or another is wanted
 * @property {any} [WebSocket] the same
 *
 * @typedef {'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline' | 'closed'} State
 * @typedef {object} HubEventMap
 * @property {{from: State, to: State, reason: string, error?: TriwayError}} state
 * @property {{from: Transport | null, to: Transport | null, reason: string}} transport
 *
 * @typedef {object} Face what an application has of a hub
 * @property {State} state
 * @property {Transport | null} transport that carries
 * @property {{id: string} | null} session
 * @property {number} [rtt] round-trip time in ms
 * @property {Promise<void>} ready resolves with the first proven transport
 * @property {Channel} inbox private events for this session and user
 * @property {(name: string, options?: {since?: string, presence?: boolean}) => Channel} channel
 * @property {(transport: Transport | 'auto') => void} use changes the transport by hand, or back to the ladder's choice
 * @property {() => Promise<import('./report.js').Report>} report what was tried, seen and chosen, and why: data, and text by String(report)
 * @property {() => void} close ends everything; what waits to be sent is rejected
 *
 * @typedef {import('./channel.js').Target<HubEventMap> & Face} Hub
 *
 * @typedef {object} Inside what is shared of the client's state
 * @property {string} base
 * @property {import('./ask.js').Asking} asking
 * @property {import('./send.js').Sending} sending
 * @property {Map<string, ReturnType<typeof newChannel>>} channels
 * @property {Map<string, string>} places
 * @property {Pick<Attach, 'reads' | 'cursor' | 'session'>} [line] where reading goes on from: the carrier, the last one, or the first to say hello
 * @property {boolean} [rests] another tab reads for this one: its ladder rests
 * @property {(type: import('./rungs.js').FactType, fact?: import('./rungs.js').Fact) => void} look
 * @property {() => void} lead this tab reads
 * @property {(via: Transport | null, frame: Frame) => void} deliver
 * @property {(channel?: string) => ReturnType<typeof newChannel> | undefined} handleOf
 * @property {() => void} sync
 * @property {() => string[]} wanted
 * @property {(name: string) => string | undefined} startOf
 * @property {(what: 'state' | 'transport', to: any, reason: string) => void} change
 */

/** Steps and facts kept for the report. */
const LOG_MOST = 200
/** The session key lasts an hour at most, and each hello renews it: so long after one, in ms, another is asked for. Twice, if need be. */
const RENEW_MS = 25 * 60_000
/** No answer to the look for the hub, in ms. */
const CHECK_MS = 2500
/** Longest time that timers take, in ms: they count in 31 bits. */
const TIMER_MOST_MS = 1e9

/** @param {string | URL} [address] of the hub @param {Options} [options] @returns {Hub} */
export function connect(address = '/', options = {}) {
  const { transports = ['ws', 'sse', 'poll'], signal } = options
  const base = new URL(address, globalThis.location?.href).href.replace(/\/?$/, '/')
  const asking = newAsking(base, options, () => inside.line?.session, measured)
  const stop = new AbortController()
  const ladder = newLadder(
    transports.filter((transport) => transport !== 'ws' || options.WebSocket || globalThis.WebSocket),
    Math.random,
    load(base),
    link(),
  )
  /** @type {Map<string, ReturnType<typeof newChannel>>} */
  const channels = new Map()
  /** The last id seen of each channel, by its real name. @type {Map<string, string>} */
  const places = new Map()
  /** By the number of the try. @type {Map<number, Attach>} */
  const attaches = new Map()
  /** @type {Attach | undefined} */
  let carrier
  let renewAt = 0
  let pingAt = 0
  let pingMs = 0
  /** What was seen and done, for the report. @type {any[][]} */
  const log = []
  /** @type {any} */
  let timer
  /** Asked for before there was a session to go on with. @type {Transport | 'auto' | undefined} */
  let wish
  const hub = /** @type {Hub} */ (Object.assign(new EventTarget(), { state: 'connecting', transport: null, session: null, channel, use, report, close }))
  hub.ready = new Promise((resolve, reject) => {
    hub.addEventListener('state', ({ to, error }) => {
      if (to === 'connected') resolve()
      else if (to === 'closed') reject(error)
    })
  })
  hub.ready.catch(() => {})
  const sending = newSending(hub, !!options.share, asking, (what) => (what === 'expired' ? renew() : look(what)))

  /** What the part of tabs is given, and what it puts something of its own in the place of. @type {Inside} */
  const inside = {
    base,
    asking,
    sending,
    channels,
    places,
    rests: options.share,
    look,
    lead,
    deliver: read,
    handleOf,
    sync,
    wanted,
    startOf,
    change,
  }
  hub.inbox = channel('@')

  /** What follows from the ladder's steps. @type {Record<string, (step: any) => void>} */
  const does = { open, close: drop, carry, state: ({ state, why }) => change('state', state, why), check }

  // What the ladder is told, and what it wants.

  /** @param {import('./rungs.js').FactType} type @param {import('./rungs.js').Fact} [fact] */
  function look(type, fact) {
    if (hub.state === 'closed' || inside.rests) return
    const now = Date.now()
    const steps = ladder.see(now, type, fact)
    if (!/frame|tick|rtt|proof/.test(type)) note(now, type, fact)
    clearTimeout(timer)
    timer = setTimeout(look, Math.min(ladder.wakeAt - now, TIMER_MOST_MS), 'tick')
    for (const step of steps) {
      note(now, step.do, step)
      does[step.do]?.(step)
    }
  }

  /** @param {any[]} entry */
  function note(...entry) {
    if (log.push(entry) > LOG_MOST) log.shift()
  }

  /** @param {'state' | 'transport'} what @param {any} to @param {string} reason @param {TriwayError} [error] */
  function change(what, to, reason, error) {
    const from = hub[what]
    if (from === to) return
    hub[what] = /** @type {never} */ (to)
    tell(hub, what, { from, to, reason, error })
  }

  /** @param {import('./attach.js').Open} step */
  function open(step) {
    const { line } = inside
    const cursor = line?.cursor
    const start = (/** @type {string} */ name) => line?.reads.get(name) === true || (inside.startOf(name) ?? (cursor ? 'now' : true))
    const reads = new Map(inside.wanted().map((name) => [name, start(name)]))
    // Of several that begin without a session only one shows itself: each would be somebody else.
    const shown = line || !attaches.size ? isShown() : undefined
    if (hub.state !== 'closed') attaches.set(step.id, newAttach({ ...step, reads, cursor, session: line?.session, shown }, options, asking, heard, ended))
  }

  /** @param {{id: number, why?: string}} step */
  function drop({ id, why = 'closed' }) {
    attaches.get(id)?.stop()
    attaches.delete(id)
    if (id !== carrier?.id) return
    carrier = undefined
    sending.by()
    change('transport', null, hub.transport + ':' + why)
  }

  /** @param {{id: number, why: string}} step */
  function carry({ id, why }) {
    const attach = /** @type {Attach} */ (attaches.get(id))
    // What was joined while this one was opened goes on from where the old line has read it to.
    const { reads, cursor } = inside.line ?? attach
    for (const [name, start] of reads) if (start === true && !attach.reads.has(name)) places.set(name, /** @type {string} */ (cursor))
    carrier = inside.line = attach
    adopt(attach)
    change('transport', attach.transport, why)
    inside.sync()
    keep(base, ladder.memory)
  }

  /** Publishes go by this attach, as its session. @param {Attach} attach */
  function adopt(attach) {
    const { id } = /** @type {import('./frame.js').Session} */ (attach.session)
    hub.session = { id }
    sending.by(id, attach.socket ? attach.command : true)
  }

  // What attaches tell.

  /** @param {Attach} attach @param {Frame} frame */
  function heard(attach, frame) {
    const { id } = attach
    const { type } = frame
    if (type === 'hello') hello(attach, frame)
    inside.deliver(attach.transport, frame)
    if (type !== 'mute') look('frame', { id, time: frame.time, ping: type === 'ping' })
    else if (attach === carrier) return look(type)
    if (type === 'end') look('proof', { id })
    if (attach === carrier) alive(attach)
  }

  /** @param {Attach} attach @param {Frame} frame */
  function hello(attach, { heartbeat: beat = 0, network, build }) {
    asking.isRenewed = false
    // A poll may find in mid-chain that the hub no longer knows its session.
    if (attach === carrier) adopt(attach)
    renewAt = Date.now() + RENEW_MS
    // Before the next heartbeat, whose frame is what reminds us.
    pingMs = 900 * beat
    look('hello', { id: attach.id, beat, network, build })
    if (attach.socket) ping(attach)
    if (inside.line) return
    // The first hello is the line that all others continue, as its session. What was opened beside
    // it begins elsewhere, as somebody else, who leaves: it begins anew.
    inside.line = attach
    for (const other of attaches.values()) {
      if (other === attach) continue
      other.stop(1000)
      open(other)
    }
    if (wish) use(wish)
  }

  /** Whose frames they are, and those of its presence. @param {string} [channel] */
  function handleOf(channel = '') {
    return channels.get(wireName(channel.replace(/^\$presence\//, '')))
  }

  /** Event or gap: what is new goes to its handle. @param {Transport | null} via @param {Frame} frame */
  function read(via, { type, channel = '', id = '', name = 'message', data, data64, from, time = 0, after, reason }) {
    if (!channel || !id || atOrBelow(id, places.get(channel))) return
    const known = handleOf(channel)
    if (!known) return
    places.set(channel, id)
    const isPresence = channel[0] === '$'
    if (type !== 'event') isPresence ? known.reload() : tell(known, 'gap', { after, reason, id, channel })
    else if (isPresence) known.moved(name, data, { time, via })
    else tell(known, 'message', { data: data64 == null ? data : bytesOf(data64), name, id, from, time, channel, via })
  }

  /** @param {Attach} attach @param {string} why @param {Partial<TriwayError>} error */
  function ended(attach, why, error) {
    const { id } = attach
    if (error.isFinal) {
      const joined = [...attach.reads.keys()].filter((name) => carrier && !carrier.reads.has(name))
      if (joined.length) refuse(joined, error)
      else if (!error.planned || attach === carrier) return finish(why, error)
    }
    drop({ id, why })
    look('ended', /** @type {any} */ ({ ...error, id, why }))
  }

  // Which channels are wanted.

  /** Names that should be read now. Somebody else's inbox can be written only. */
  function wanted() {
    return [...channels].filter(([name]) => !/^@./.test(name)).flatMap(([name, { presence }]) => (presence ? ['$presence/' + name, name] : name))
  }

  /** Is this session shown to others? No name has a comma. */
  const isShown = () => (/(^|,)\$presence\//.test(/** @type {any} */ (inside.wanted())) ? 1 : undefined)

  /** Where a channel starts that no cursor covers. @param {string} name */
  function startOf(name) {
    return places.get(name) ?? channels.get(name)?.since
  }

  /** Soon brings what is read in line with what is wanted: in place on WS; on SSE and polls, where nothing can be asked, by attaching anew. */
  function sync() {
    queueMicrotask(() => {
      if (!carrier) return
      const { reads } = carrier
      // Who came while the channel was being joined was told by nobody.
      for (const [name, it] of channels) it.isRead ||= it.presence && reads.get(name) === true && it.reload()
      const names = inside.wanted()
      // What is left goes first: a session has a bound.
      const changed = [...new Set([...reads.keys(), ...names])].filter((name) => !reads.has(name) || !names.includes(name))
      if (changed[0] && (!carrier.socket || (isShown() && !carrier.shown))) return look('reopen')
      for (const channel of changed) {
        const since = reads.delete(channel) ? undefined : (inside.startOf(channel) ?? 'now')
        if (since) reads.set(channel, since)
        carrier.command(JSON.stringify({ type: since ? 'subscribe' : 'unsubscribe', channel, since }), ({ ok, error }) => {
          if (!since) return
          if (!ok) refuse([channel], new TriwayError(error?.code ?? '', error))
          // It may have been closed meanwhile.
          else if (reads.has(channel)) reads.set(channel, true)
          inside.sync()
        })
      }
    })
  }

  /** These channels are not to be had; the others go on. @param {string[]} names @param {any} error */
  function refuse(names, error) {
    for (const name of names) {
      const handle = handleOf(name)
      if (!handle) continue
      tell(handle, 'error', { error })
      handle.close()
    }
  }

  // What is said beside reading.

  /** @param {number} sentAt */
  function measured(sentAt) {
    look('rtt', { ms: (hub.rtt = Date.now() - sentAt) })
  }

  /** Is it the hub that answers? No answer is none from a stranger either. */
  function check() {
    asking.ask('healthz', { nonce: newNonce() }, '', CHECK_MS)
      .then(
        ({ magic }) => ({ ok: magic === MAGIC, foreign: true }),
        (error) => error,
      )
      .then((fact) => look('checked', fact))
  }

  /** Something came on the carrier: a time to say that we are here, and who, as often as it is asked. @param {Attach} attach */
  function alive(attach) {
    const now = Date.now()
    if (now > renewAt) renew()
    // On SSE nothing goes back by itself, and presence is judged by a ping each heartbeat; on WS
    // what goes back by itself may be lost, or answered by a proxy.
    if (now >= pingAt && (attach.socket || (attach.shown && attach.transport === 'sse'))) {
      pingAt = now + pingMs
      ping(attach)
    }
  }

  /** The first that is answered proves a WS; on SSE the request measures itself. @param {Attach} attach */
  function ping(attach) {
    const sentAt = Date.now()
    attach.command('{"type":"ping"}', () => {
      measured(sentAt)
      look('proof', { id: attach.id })
    })
  }

  /** A hello renews the session key. */
  function renew() {
    renewAt = Date.now() + RENEW_MS
    if (attaches.size < 2) look('reopen')
  }

  /** Presence ends at once. */
  function leave() {
    if (carrier?.shown) carrier.command('{"type":"leave"}')
  }

  // What the application does.

  /** @param {string} name @param {{since?: string, presence?: boolean}} [how] @returns {Channel} */
  function channel(name, how = {}) {
    const known = channels.get(name)
    if (known) return known
    const made = newChannel(
      name,
      how,
      sending.add,
      () => hub.ready.then(() => asking.ask('presence/' + encodeURIComponent(name))),
      () => {
        channels.delete(name)
        places.delete(name)
        places.delete('$presence/' + name)
        inside.sync()
      },
    )
    channels.set(name, made)
    inside.sync()
    return made
  }

  /** @param {Transport | 'auto'} transport */
  function use(transport) {
    // A second attach beside a hello that is on its way would be another session.
    const isEarly = !inside.line && attaches.size
    wish = isEarly || inside.rests ? transport : undefined
    if (!isEarly) inside.look('use', { transport })
  }

  async function report() {
    const { report } = await import('./report.js')
    return report({ ...hub, log, learned: ladder.learned })
  }

  function close() {
    leave()
    finish('closed', new TriwayError('closed'))
  }

  /** @param {string} why @param {any} error */
  function finish(why, error) {
    if (hub.state === 'closed') return
    clearTimeout(timer)
    stop.abort()
    for (const id of attaches.keys()) drop({ id, why })
    sending.close(error)
    change('state', 'closed', why, error)
  }

  function lead() {
    inside.rests = false
    look('start')
    if (wish) look('use', { transport: wish })
  }

  /** @param {typeof import('./share.js')} part */
  function join({ share }) {
    share(hub, inside)
    if (wish) use(wish)
  }

  /** @param {import('./rungs.js').FactType} type */
  function felt(type) {
    if (type === 'pause') leave()
    inside.look(type)
  }
  watchPage(stop.signal, felt)
  signal?.addEventListener('abort', close)
  if (signal?.aborted) queueMicrotask(close)
  // Loaded only when it is used.
  if (options.share) import('./share.js').then(join).catch(lead)
  // One tick later, so that the channels opened beside it are in the first attach.
  else queueMicrotask(lead)
  return hub
}
