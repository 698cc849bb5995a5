/**
 * One tab of an origin reads for all. The tab that holds the Web Lock leads: it runs the ladder and
 * tells every frame to the others over a BroadcastChannel. They keep their own places, so that the
 * next leader goes on from the last frame that was told. What was before, each tab, the leader too,
 * reads from the hub's history for itself; until then what is live waits. To their publishes the leader is a socket.
 * Loaded only with `share: true`.
 */
/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./attach.js').Attach} Attach @typedef {NonNullable<ReturnType<typeof share>>} Share */

/** @typedef {import('./cuts.js').Transport} Transport @typedef {{since?: string, presence?: boolean, reload: () => any}} Shared */
/** @typedef {Pick<Attach, 'reads' | 'cursor'>} Line where reading goes on from */

/** Until a history that was refused is asked for again, in ms: never more than one request a second. */
const AGAIN_MS = 1000

/**
 * @typedef {object} Inside what is shared of the client's state
 * @property {string} base
 * @property {import('./ask.js').Asking} asking
 * @property {import('./send.js').Sending} sending
 * @property {Map<string, Shared>} channels
 * @property {Map<string, string>} places
 * @property {(next?: Line) => Line | undefined} line
 * @property {() => void} lead
 * @property {(via: Transport | null, frame: Frame) => void} read
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
  // Where tabs cannot find each other, each reads for itself. What has locks has BroadcastChannel.
  const locks = globalThis.navigator?.locks
  if (!locks) return lead()
  const name = 'triway ' + base
  const tab = Math.random()
  const wire = new BroadcastChannel(name)
  /** From asking for the lock until this tab gives it up. @type {AbortController | undefined} */
  let turn
  /** What each other tab wants to read. @type {Map<string, string[]>} */
  const wishes = new Map()
  /** Publishes without a reply, by key. @type {Map<string, (reply: any) => void>} */
  const replies = new Map()
  /** What is done with a channel's frames: they are read where all that came before is; until then they wait. @type {WeakMap<any, Inside['read']>} */
  let past = new WeakMap()
  let leads = false
  const say = (/** @type {any} */ message) => turn && wire.postMessage(message)

  /** What a channel is called where its events are. @param {string} name */
  const real = (name) => (name === '@' ? /** @type {any} */ (asking.session).inboxes : [name])

  /** A follower says what it wants; the leader what the others need to know, and to go on if this tab is gone. */
  const tell = () => {
    say(leads ? { told: [hub.state, hub.transport, asking.session, line()?.cursor, line()?.reads] } : { wish: wanted(true), from: tab })
    begin()
  }

  /** To the leader, from now on; what it has not answered, again. */
  const come = () => {
    sending.by(undefined, (json, onReply) => {
      const key = json.split('"')[3]
      replies.set(key, onReply)
      say({ key, json })
    })
    tell()
  }

  /** What is read from now on begins where this tab left it, or was told to. */
  const begin = () => {
    for (const [name, channel] of channels) if (line()?.reads.get(name) === true && !past.has(channel)) catchUp(name, channel)
  }

  /** @param {string} name @param {Shared} channel */
  const catchUp = async (name, channel) => {
    /** @type {Frame[]} */
    const waiting = []
    const wait = (/** @type {any} */ via, /** @type {Frame} */ frame) => waiting.push(frame)
    past.set(channel, wait)
    for (const place of real(name)) {
      let since = places.get(place) ?? channel.since
      // Without a start it begins with what comes.
      for (let more = /** @type {any} */ (since); more; ) {
        const page = await asking.ask(asking.at('history/' + encodeURIComponent(place), { since })).catch(() => {})
        // It was begun anew.
        if (past.get(channel) !== wait) return
        // What comes meanwhile will be in the history.
        if (!page) return past.delete(channel) && setTimeout(begin, AGAIN_MS)
        for (const frame of page.frames) read(hub.transport, frame)
        ;({ cursor: since, more } = page)
      }
    }
    past.set(channel, read)
    for (const frame of waiting) read(hub.transport, frame)
    if (channel.presence) channel.reload()
  }

  /** @param {Transport | null} via @param {Frame} frame */
  const take = (via, frame) => past.get(channels.get(/** @type {string} */ (frame.channel?.replace(/^(@).*|^\$presence./, '$1'))))?.(via, frame)

  /** Something may be missed from here on: each channel will begin anew, where it is now. */
  const forget = () => {
    const cursor = /** @type {string} */ (line()?.cursor)
    for (const [name, channel] of channels) if (past.get(channel) === read) for (const place of real(name)) if (!places.has(place)) places.set(place, cursor)
    past = new WeakMap()
    line({ cursor, reads: new Map() })
  }

  wire.onmessage = ({ data: message }) => {
    const { wish: wished, from, use, leader, frame, cursor, key, json, reply, told } = message
    if (wished) {
      wishes.set(from, wished)
      // Which tells the others where it reads, too.
      if (leads) sync()
    } else if (leads && use) hub.use(use)
    else if (leads && json)
      sending.add(json.replace(/"key":".*?",/, ''), key).then((result) => ({ ok: true, ...result }), (error) => ({ error: { ...error } })).then((reply) => say({ key, reply }))
    else if (leads) return
    else if (leader) {
      // Whether it goes on just where the last one ended, it cannot know.
      forget()
      come()
    } else if (frame) {
      const now = line()
      if (now) now.cursor = cursor
      take(hub.transport, frame)
    } else if (reply) {
      replies.get(key)?.(reply)
      replies.delete(key)
    } else if (told) {
      const [state, transport, session, cursor, reads] = told
      if (reads) line({ cursor, reads })
      asking.session = session
      hub.session = { id: session?.id }
      change('transport', transport, 'shared')
      change('state', state, 'shared')
      if (transport) isReady()
      begin()
    }
  }

  function enter() {
    if (turn) return
    turn = new AbortController()
    const { signal } = turn
    const granted = () => {
      leads = true
      say({ leader: true })
      lead()
      return new Promise((resolve) => (signal.onabort = resolve))
    }
    locks.request(name, { signal }, granted).catch(() => {})
    come()
  }

  function leave() {
    forget()
    turn?.abort()
    turn = undefined
    leads = false
  }

  hub.addEventListener('state', () => leads && tell())
  enter()

  return {
    /** What other tabs want. */
    wanted: () => [...wishes.values()].flat(),
    /** The leader's frames go to all. @param {Transport} via @param {Frame} frame */
    read(via, frame) {
      if (frame.session) frame.session.inboxes = frame.channels?.filter((name) => name[0] === '@')
      say({ frame, cursor: line()?.cursor })
      take(via, frame)
    },
    sync: tell,
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
