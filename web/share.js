/**
 * One tab of an origin reads for all. The tab that holds the Web Lock leads: it runs the ladder and
 * tells every frame to the others over a BroadcastChannel. They keep their own places, so that the
 * next leader goes on from the last frame that was told. To their publishes the leader is a socket.
 * Loaded only with `share: true`.
 */
/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./attach.js').Attach} Attach @typedef {NonNullable<ReturnType<typeof share>>} Share */

/** @typedef {Pick<Attach, 'reads' | 'cursor'>} Line where reading goes on from */

/**
 * @typedef {object} Inside what is shared of the client's state
 * @property {string} base
 * @property {import('./ask.js').Asking} asking
 * @property {import('./send.js').Sending} sending
 * @property {Map<string, {since?: string}>} channels
 * @property {Map<string, string>} places
 * @property {(next?: Line) => Line | undefined} line
 * @property {() => void} lead
 * @property {(via: import('./cuts.js').Transport | null, frame: Frame) => void} read
 * @property {() => void} sync
 * @property {(own?: boolean) => string[]} wanted
 * @property {(what: 'state' | 'transport', to: any, reason: string) => void} change
 * @property {() => void} isReady
 */

/**
 * What it uses of the client is given, not imported: it is a file of its own.
 * @param {import('./client.js').Hub} hub
 * @param {Inside} inside
 */
export function share(hub, { base, asking, sending, channels, places, line, lead, read, sync, wanted, change, isReady }) {
  // Where tabs cannot find each other, each reads for itself.
  if (!globalThis.BroadcastChannel || !globalThis.navigator?.locks) return lead()
  const name = 'triway ' + base
  const tab = crypto.randomUUID()
  const wire = new BroadcastChannel(name)
  /** From asking for the lock until this tab gives it up. */
  let turn = new AbortController()
  turn.abort()
  /** What each other tab wants to read. @type {Map<string, string[]>} */
  const wishes = new Map()
  /** Publishes without a reply, by key. @type {Map<string, (reply: any) => void>} */
  const replies = new Map()
  /** Frames of a channel whose history is being fetched. @type {Map<string, any[]>} */
  const held = new Map()
  /** @type {Set<string>} */
  const fetched = new Set()
  let leads = false
  const say = (/** @type {any} */ message) => turn.signal.aborted || wire.postMessage(message)

  /** What the others need to know, and to go on if this tab is gone. */
  const tell = () => {
    const { state, transport } = hub
    const now = line()
    say({ state, transport, session: asking.session, cursor: now?.cursor, reads: now?.reads })
  }

  const wish = () => say({ wish: wanted(true), from: tab })

  /** To the leader, from now on; what it has not answered, again. */
  const publish = () => sending.by(undefined, (json, onReply) => {
    const { key } = JSON.parse(json)
    replies.set(key, onReply)
    say({ key, json })
  })

  /** What was published before this tab listened; then what came meanwhile. @param {string} channel @param {string} since */
  const history = async (channel, since) => {
    held.set(channel, [])
    let page
    do {
      page = await asking.ask(asking.at('history/' + encodeURIComponent(channel), { limit: 1000, since }))
      for (const frame of page.frames) read(hub.transport, frame)
      since = page.cursor
    } while (page.more)
    fetched.add(channel)
    for (const frame of held.get(channel) ?? []) read(hub.transport, frame)
    held.delete(channel)
  }

  const follow = (/** @type {any} */ { state, transport, session, cursor, reads }) => {
    if (reads) line({ cursor, reads })
    asking.session = session
    hub.session = session && { id: session.id }
    change('transport', transport, 'shared')
    change('state', state, 'shared')
    if (state === 'connected') isReady()
    for (const [channel, { since = 'now' }] of channels) {
      if (reads?.get(channel) && !fetched.has(channel) && !held.has(channel)) history(channel, places.get(channel) ?? since).catch(() => held.delete(channel))
    }
  }

  wire.onmessage = ({ data: message }) => {
    const { wish: wished, from, use, leader, frame, cursor, key, json, reply, state } = message
    if (wished) {
      wishes.set(from, wished)
      // Which tells the others where it reads, too.
      if (leads) sync()
    } else if (leads && use) hub.use(use)
    else if (leads && json) {
      const { key, ...command } = JSON.parse(json)
      sending
        .add(JSON.stringify(command), key)
        .then((result) => ({ ok: true, ...result }))
        .catch(({ code, hint, status }) => ({ error: { code, hint, status } }))
        .then((reply) => say({ key, reply }))
    } else if (leads) return
    else if (leader) {
      wish()
      publish()
    } else if (frame) {
      const now = line()
      if (now) now.cursor = cursor
      const { channel } = frame
      const waits = held.get(channel)
      if (waits) waits.push(frame)
      // What was not fetched yet will be: read now, it would hide what came before it.
      else if (fetched.has(channel) || !channels.has(channel)) read(hub.transport, frame)
    } else if (reply) {
      replies.get(key)?.(reply)
      replies.delete(key)
    } else if (state) follow(message)
  }

  function enter() {
    if (!turn.signal.aborted) return
    turn = new AbortController()
    const { signal } = turn
    const granted = () => {
      leads = true
      // What it has not fetched to the end it reads itself, from its own place.
      for (const channel of channels.keys()) if (!fetched.has(channel)) line()?.reads.delete(channel)
      held.clear()
      lead()
      say({ leader: true })
      return new Promise((resolve) => signal.addEventListener('abort', resolve))
    }
    navigator.locks.request(name, { signal }, granted).catch(() => {})
    publish()
    wish()
  }

  function leave() {
    turn.abort()
    leads = false
    // Where it goes on when it is back, as a follower.
    fetched.clear()
    const { cursor, reads } = line() ?? {}
    for (const name of channels.keys()) if (cursor && reads?.get(name) && !places.has(name)) places.set(name, cursor)
  }

  hub.addEventListener('state', () => leads && tell())
  enter()

  return {
    /** What other tabs want. */
    wanted: () => (leads ? [...wishes.values()].flat() : []),
    /** The leader's frames go to all. @param {Frame} frame */
    read: (frame) => leads && say({ frame, cursor: line()?.cursor }),
    sync: () => (leads ? tell() : wish()),
    /** The leader changes for all. @param {string} transport */
    use: (transport) => say({ use: transport }),
    /** The page may be frozen at any moment: another tab leads; and when the page is back, it stands in the queue anew. */
    leave,
    enter,
    close() {
      leave()
      wire.close()
    },
  }
}
