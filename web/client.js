/**
 * The hub as the page sees it: one loop of pick (ladder) → read (attach) → dispatch → move the cursor.
 * Its state is the closure of `connect`. Knows no wire's ways and no ranking: the wires bring frames,
 * the ladder alone decides which transport is tried when.
 */
import { newAsking } from './ask.js'
import { newAttach } from './attach.js'
import { newChannel, tell } from './channel.js'
import { atOrBelow, TriwayError, wireName, withBytes } from './frame.js'
import { newLadder } from './ladder.js'
import { load, keep, watchPage } from './page.js'
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
 */

/** Steps and facts kept for the report. */
const LOG_MOST = 200
/** The session key lasts an hour at most, and each hello renews it: so long after one, in ms, another is asked for. Twice, if need be. */
const RENEW_MS = 25 * 60_000
const PING = '{"type":"ping"}'
/** Longest time that timers take, in ms: they count in 31 bits. */
const TIMER_MOST_MS = 1e9

/** @param {string | URL} [address] of the hub @param {Options} [options] @returns {Hub} */
export function connect(address = '/', options = {}) {
  const { transports = ['ws', 'sse', 'poll'], signal } = options
  const base = new URL(address, globalThis.location?.href).href.replace(/\/?$/, '/')
  const asking = newAsking(base, options, measured)
  const { at, ask } = asking
  const ladder = newLadder(
    transports.filter((transport) => transport !== 'ws' || options.WebSocket || globalThis.WebSocket),
    Math.random,
    load(base),
  )
  /** @type {Map<string, ReturnType<typeof newChannel>>} */
  const channels = new Map()
  /** The last id seen of each channel, by its real name. @type {Map<string, string>} */
  const places = new Map()
  /** By the number of the try. @type {Map<number, Attach>} */
  const attaches = new Map()
  /** Where reading goes on from: the carrier, the last one, or the first to say hello. @type {Pick<Attach, 'reads' | 'cursor'> | undefined} */
  let line
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
  /** @type {import('./share.js').Share | undefined} */
  let share
  /** Another tab reads for this one: its ladder rests. */
  let follows = !!options.share
  /** @type {(value?: any) => void} */
  let isReady = () => {}
  /** @type {(error: any) => void} */
  let isRefused = () => {}
  const ready = new Promise((resolve, reject) => {
    isReady = resolve
    isRefused = reject
  })
  ready.catch(() => {})

  const hub = /** @type {Hub} */ (Object.assign(new EventTarget(), { state: 'connecting', transport: null, session: null, rtt: undefined, ready, channel, use, report, close }))
  const sending = newSending(hub, at, ask, (what) => (what === 'expired' ? renew() : look(what)))
  hub.inbox = channel('@')

  // What the ladder is told, and what it wants.

  /** @param {import('./rungs.js').FactType} type @param {import('./rungs.js').Fact} [fact] */
  function look(type, fact) {
    if (hub.state === 'closed' || follows) return
    const now = Date.now()
    const steps = ladder.see(now, type, fact)
    if (!/frame|tick|rtt|proof/.test(type)) note(now, type, fact)
    clearTimeout(timer)
    timer = setTimeout(look, Math.min(ladder.wakeAt - now, TIMER_MOST_MS), 'tick')
    for (const step of steps) {
      note(now, step.do, step)
      if (step.do === 'open') open(step)
      else if (step.do === 'close') drop(step.id, 'closed')
      else if (step.do === 'carry') {
        carry(step.id)
        keep(base, ladder.memory)
      }
      else if (step.do === 'state') change('state', step.state, step.why)
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
    const cursor = line?.cursor
    const start = (/** @type {string} */ name) => line?.reads.get(name) === true || (startOf(name) ?? (cursor ? 'now' : true))
    const reads = new Map(wanted().map((name) => [name, start(name)]))
    // Of several that begin without a session only one shows itself: each would be somebody else.
    const shown = line || !attaches.size ? isShown() : undefined
    if (hub.state !== 'closed') attaches.set(step.id, newAttach(step, { reads, cursor, shown }, options, asking, heard, ended))
  }

  /** @param {number} id @param {string} why */
  function drop(id, why) {
    const attach = attaches.get(id)
    attaches.delete(id)
    attach?.stop()
    if (!attach || attach !== carrier) return
    carrier = undefined
    sending.by()
    change('transport', null, `${attach.step.transport}:${why}`)
  }

  /** @param {number} id */
  function carry(id) {
    const attach = /** @type {Attach} */ (attaches.get(id))
    // What was joined while this one was opened goes on from where the old line has read it to.
    const { reads, cursor } = line ?? attach
    for (const [name, start] of reads) if (start === true && !attach.reads.has(name)) places.set(name, /** @type {string} */ (cursor))
    carrier = line = attach
    adopt(attach)
    change('transport', attach.step.transport, attach.step.why)
    isReady()
    sync()
  }

  /** Publishes go by this attach, as its session. @param {Attach} attach */
  function adopt({ session, socket, command }) {
    asking.session = session
    hub.session = { id: session?.id ?? '' }
    sending.by(session?.id, socket ? command : true)
  }

  // What attaches tell.

  /** @param {Attach} attach @param {Frame} frame */
  function heard(attach, frame) {
    const { id, transport } = attach.step
    const { type, time } = frame
    if (type === 'hello') hello(attach, frame)
    ;(share ?? inside).read(transport, frame)
    if (type !== 'mute') look('frame', { id, time, ping: type === 'ping' })
    if (type === 'end') look('proof', { id })
    if (attach === carrier) type === 'mute' ? look(type) : alive(transport)
  }

  /** @param {Attach} attach @param {Frame} frame */
  function hello(attach, { session, heartbeat: beat = 0, network, build }) {
    const { id } = attach.step
    asking.isRenewed = false
    if (!asking.session || asking.session.id === session?.id) asking.session = session
    // A poll may find in mid-chain that the hub no longer knows its session.
    if (attach === carrier) adopt(attach)
    renewAt = Date.now() + RENEW_MS
    // Before the next heartbeat, whose frame is what reminds us.
    pingMs = 900 * beat
    look('hello', { id, beat, network, build })
    if (attach.socket) ping(attach, () => look('proof', { id }))
    if (line) return
    // The first hello is the line that all others continue, as its session. What was opened beside
    // it begins elsewhere, as somebody else, who leaves: it begins anew.
    line = attach
    for (const other of attaches.values()) {
      if (other === attach) continue
      other.stop(1000)
      open(other.step)
    }
    if (wish) use(wish)
  }

  /** Event or gap: what is new goes to its handle. @param {Transport | null} via @param {Frame} frame */
  function read(via, frame) {
    const { type, channel = '', id = '', name = 'message', data, from, time = 0, after, reason } = withBytes(frame)
    if (!channel || !id || atOrBelow(id, places.get(channel))) return
    const watched = channel.replace(/^\$presence\//, '')
    const known = channels.get(wireName(watched))
    if (!known) return
    places.set(channel, id)
    if (watched !== channel) {
      if (type === 'event') known.moved(name, data, { time, via })
      else known.reload()
    } else if (type === 'event') tell(known.handle, 'message', { data, name, id, from, time, channel, via })
    else tell(known.handle, 'gap', { after, reason, id, channel })
  }

  /** @param {Attach} attach @param {import('./rungs.js').Fact & {why: string, error?: TriwayError | false}} fact `error` is the hub's last word */
  function ended(attach, { error, ...fact }) {
    const { id } = attach.step
    if (error) {
      const joined = [...attach.reads.keys()].filter((name) => carrier && !carrier.reads.has(name))
      if (joined.length) refuse(joined, error)
      else if (!fact.planned || attach === carrier) return finish(fact.why, error)
    }
    drop(id, fact.why)
    look('ended', { ...fact, id })
  }

  // Which channels are wanted.

  /** Names that should be read now. @param {boolean} [own] without what other tabs want */
  function wanted(own) {
    // Somebody else's inbox can be written only.
    const names = [...channels].filter(([name]) => !/^@./.test(name)).flatMap(([name, { presence }]) => (presence ? ['$presence/' + name, name] : name))
    return [...new Set([...names, ...((!own && share?.wanted()) || [])])]
  }

  /** Is this session shown to others? */
  const isShown = () => (wanted().some((name) => name.startsWith('$presence/')) ? 1 : undefined)

  /** Where a channel starts that no cursor covers; tabs that share read what was before each for itself. @param {string} name */
  const startOf = (name) => places.get(name) ?? (share ? undefined : channels.get(name)?.since)

  /** Soon brings what is read in line with what is wanted: in place on WS; on SSE and polls, where nothing can be asked, by attaching anew. */
  function sync() {
    queueMicrotask(() => {
      share?.sync()
      if (!carrier) return
      const { reads, command, socket, shown } = carrier
      for (const [name, channel] of channels) {
        // Who came while the channel was being joined was told by nobody.
        if (channel.presence && !channel.isRead && reads.get(name) === true) {
          channel.isRead = true
          channel.reload()
        }
      }
      const names = wanted()
      const fresh = names.filter((name) => !reads.has(name))
      const stale = [...reads.keys()].filter((name) => !names.includes(name))
      if (!fresh.length && !stale.length) return
      if (!socket || (isShown() && !shown)) return look('reopen')
      for (const channel of stale) {
        reads.delete(channel)
        command(JSON.stringify({ type: 'unsubscribe', channel }))
      }
      for (const channel of fresh) {
        const since = startOf(channel) ?? 'now'
        reads.set(channel, since)
        command(JSON.stringify({ type: 'subscribe', channel, since }), ({ ok, error }) => {
          if (!ok) refuse([channel], new TriwayError(error?.code ?? '', error))
          // It may have been closed meanwhile.
          else if (reads.has(channel)) reads.set(channel, true)
          sync()
        })
      }
    })
  }

  /** These channels are not to be had; the others go on. @param {string[]} names @param {TriwayError} error */
  function refuse(names, error) {
    for (const name of names) {
      const handle = channels.get(name.replace('$presence/', ''))?.handle
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

  /** Something came on the carrier: a time to say that we are here, and who, as often as it is asked. @param {Transport} transport */
  function alive(transport) {
    const now = Date.now()
    if (now > renewAt) renew()
    if (transport === 'poll' || now < pingAt) return
    pingAt = now + pingMs
    // On SSE nothing goes back by itself, and presence is judged by a ping each heartbeat; on WS
    // what goes back by itself may be lost, or answered by a proxy.
    if (transport === 'ws') ping(/** @type {Attach} */ (carrier))
    else if (isShown()) say(PING)
  }

  /** @param {Attach} attach @param {() => void} [onReply] */
  function ping(attach, onReply) {
    const sentAt = Date.now()
    attach.command(PING, () => {
      measured(sentAt)
      onReply?.()
    })
  }

  /** A hello renews the session key. */
  function renew() {
    renewAt = Date.now() + RENEW_MS
    if (attaches.size < 2) look('reopen')
  }

  /** @param {string} json a command whose reply is nobody's */
  function say(json) {
    if (carrier?.socket) carrier.command(json)
    else ask(at('send'), { method: 'POST', body: `[${json}]`, keepalive: true }).catch(() => {})
  }

  /** Presence ends at once. */
  function leave() {
    if (carrier && isShown()) say('{"type":"leave"}')
  }

  // What the application does.

  /** @param {string} name @param {{since?: string, presence?: boolean}} [how] @returns {Channel} */
  function channel(name, how = {}) {
    const known = channels.get(name)
    if (known) return known.handle
    const made = newChannel(
      name,
      how,
      async (command, data, signal) => {
        if (hub.state === 'closed') throw new TriwayError('closed')
        // The leader of tabs may change before it has answered: such a key is the same for all.
        return sending.push({ ...command, key: options.share && crypto.randomUUID() }, data, signal)
      },
      async () => {
        await ready
        return (await ask(at('presence/' + encodeURIComponent(name)))).members
      },
      () => {
        channels.delete(name)
        places.delete(name)
        places.delete('$presence/' + name)
        sync()
      },
    )
    channels.set(name, made)
    sync()
    return made.handle
  }

  /** @param {Transport | 'auto'} transport */
  function use(transport) {
    if (follows) share?.use(transport)
    // A second attach beside a hello that is on its way would be another session.
    if (follows || (!line && attaches.size)) wish = transport
    else look('use', { transport })
  }

  async function report() {
    const { report } = await import('./report.js')
    const { state, transport, rtt } = hub
    return report({ state, transport, rtt, log, learned: ladder.learned })
  }

  function close() {
    leave()
    finish('closed', new TriwayError('closed'))
  }

  /** @param {string} why @param {TriwayError} error */
  function finish(why, error) {
    if (hub.state === 'closed') return
    clearTimeout(timer)
    unwatch()
    share?.close()
    for (const id of attaches.keys()) drop(id, why)
    sending.close(error)
    isRefused(error)
    change('state', 'closed', why, error)
  }

  /** This tab reads. */
  function lead() {
    follows = false
    look('start')
    if (wish) look('use', { transport: wish })
  }

  /** What the part of tabs is given. @type {import('./share.js').Inside} */
  const inside = {
    base,
    asking,
    sending,
    channels,
    places,
    line: (next) => (line = next ?? line),
    lead,
    read,
    sync,
    wanted,
    change,
    isReady,
  }

  /** @param {typeof import('./share.js')} part */
  function join(part) {
    if (hub.state === 'closed') return
    share = part.share(hub, inside) ?? undefined
    if (wish) share?.use(wish)
  }

  const unwatch = watchPage((type) => {
    if (type === 'pause') leave()
    look(type)
    if (type === 'start') share?.enter()
    if (type !== 'pause' || !share) return
    follows = true
    share.leave()
  })
  signal?.addEventListener('abort', close)
  if (signal?.aborted) queueMicrotask(close)
  // Loaded only when it is used.
  else if (options.share) import('./share.js').then(join).catch(lead)
  // One tick later, so that the channels opened beside it are in the first attach.
  else queueMicrotask(lead)
  return hub
}
