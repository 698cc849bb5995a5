/**
 * One tab of an origin reads for all. The tab that holds the Web Lock leads: it runs the ladder and
 * tells every frame to the others over a BroadcastChannel. They keep their own places, so that the
 * next leader goes on from the last frame that was told. What was before, each tab, the leader too,
 * reads from the hub's history for itself; until then what is live waits. To their publishes the leader is a socket.
 * Loaded only with `share: true`.
 */
/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./client.js').Inside} Inside @typedef {import('./cuts.js').Transport} Transport */

/** Until a history that was refused is asked for again, in ms: never more than one request a second. */
const AGAIN_MS = 1000

/**
 * What it uses of the client is given, not imported: it is a file of its own.
 * @param {import('./client.js').Hub} hub
 * @param {Inside} inside
 */
export function share(hub, inside) {
  const { sending, channels, places, look, lead, deliver, wanted, sync, change } = inside
  // Where tabs cannot find each other, each reads for itself. What has locks has BroadcastChannel.
  const locks = globalThis.navigator?.locks
  if (!locks || hub.state === 'closed') return lead()
  const name = 'triway ' + inside.base
  const tab = Math.random()
  const wire = new BroadcastChannel(name)
  /** From asking for the lock until this tab gives it up. @type {AbortController | undefined} */
  let turn
  /** What each other tab wants to read. @type {Map<number, string[]>} */
  const wishes = new Map()
  /** Publishes without a reply, by key. @type {Map<string, (reply: any) => void>} */
  const replies = new Map()
  let leads = false

  // What tabs say to each other, and what follows. They may be of two builds: no name here, nor in a
  // message, may be shortened. What a leader says is nothing to the next one, though it may come late.

  const wish = (/** @type {number} */ from, /** @type {string[]} */ names) => {
    wishes.set(from, names)
    // Which tells the others where it reads, too.
    if (leads) inside.sync()
  }

  /** @type {Record<string, (...words: any[]) => any>} */
  const toLeader = {
    wish,
    use: (fact) => look('use', fact),
    send: ({ key, ...command }) =>
      sending.add(JSON.stringify(command), undefined, key).then(
        (result) => say('reply', key, { ok: true, ...result }),
        (error) => say('reply', key, { error: { ...error } }),
      ),
  }

  /** @type {Record<string, (...words: any[]) => any>} */
  const toOthers = {
    wish,
    reply(key, reply) {
      replies.get(key)?.(reply)
      replies.delete(key)
    },
    leader() {
      // Whether it goes on just where the last one ended, it cannot know.
      forget()
      come()
    },
    frame(frame, cursor) {
      if (inside.line) inside.line.cursor = cursor
      take(hub.transport, frame)
    },
    told(state, transport, reads, cursor, session) {
      if (session) {
        inside.line = { reads, cursor, session }
        hub.session = { id: session.id }
      }
      change('transport', transport, 'shared')
      change('state', state, 'shared')
      begin()
    },
  }

  wire.onmessage = ({ data: [what, ...words] }) => (leads ? toLeader : toOthers)[what]?.(...words)

  const say = (/** @type {any[]} */ ...message) => turn && wire.postMessage(message)

  /** What a channel is called where its events are. @param {string} name */
  const real = (name) => (name === '@' ? /** @type {any} */ (inside.line?.session).inboxes : [name])

  /** A follower says what it wants; the leader what the others need to know, and to go on if this tab is gone. */
  const tell = () => {
    const { reads, cursor, session } = inside.line ?? {}
    if (leads) say('told', hub.state, hub.transport, reads, cursor, session)
    else say('wish', tab, wanted())
    begin()
  }

  /** To the leader, from now on; what it has not answered, again. */
  const come = () => {
    sending.by(undefined, (json, onReply) => {
      const command = JSON.parse(json)
      replies.set(command.key, onReply)
      say('send', command)
    })
    tell()
  }

  /** What is read from now on begins where this tab left it, or was told to. */
  const begin = () => {
    for (const [name, channel] of channels) if (inside.line?.reads.get(name) === true && !channel.take) catchUp(name, channel)
  }

  /** @param {string} name @param {any} channel */
  const catchUp = async (name, channel) => {
    /** @type {Frame[]} */
    const waiting = []
    const pass = (/** @type {Frame} */ frame) => deliver(hub.transport, frame)
    const wait = (channel.take = (/** @type {any} */ via, /** @type {Frame} */ frame) => waiting.push(frame))
    for (const place of real(name)) {
      let since = places.get(place) ?? channel.since
      // Without a start it begins with what comes.
      for (let more = since; more; ) {
        const page = await inside.asking.ask('history/' + encodeURIComponent(place), { since }).catch(() => {})
        // It was begun anew.
        if (channel.take !== wait) return
        // What comes meanwhile will be in the history.
        if (!page) {
          channel.take = undefined
          return setTimeout(begin, AGAIN_MS)
        }
        page.frames.forEach(pass)
        ;({ cursor: since, more } = page)
      }
    }
    channel.take = deliver
    waiting.forEach(pass)
    if (channel.presence) channel.reload()
  }

  /** Frames are read where all that came before is; until then they wait. @param {Transport | null} via @param {Frame} frame */
  const take = (via, frame) => inside.handleOf(frame.channel)?.take?.(via, frame)

  /** Something may be missed from here on: each channel will begin anew, where it is now. */
  const forget = () => {
    const { cursor = '' } = inside.line ?? {}
    for (const [name, channel] of channels) {
      if (channel.take === deliver) for (const place of real(name)) if (!places.has(place)) places.set(place, cursor)
      channel.take = undefined
    }
    inside.line = { ...inside.line, reads: new Map() }
  }

  function enter() {
    if (turn) return
    const { signal } = (turn = new AbortController())
    const granted = () => {
      leads = true
      say('leader')
      lead()
      return new Promise((resolve) => (signal.onabort = resolve))
    }
    locks.request(name, { signal }, granted).catch(() => {})
    come()
  }

  /** The page may be frozen at any moment: another tab leads; and when the page is back, it stands in the queue anew. */
  function leave() {
    forget()
    turn?.abort()
    turn = undefined
    leads = false
    inside.rests = true
  }

  // The leader's frames go to all.
  inside.deliver = (via, frame) => {
    if (frame.session) frame.session.inboxes = frame.channels?.filter((name) => name[0] === '@')
    say('frame', frame, inside.line?.cursor)
    take(via, frame)
  }
  inside.wanted = () => [wanted(), ...wishes.values()].flat()
  inside.startOf = (name) => places.get(name)
  inside.sync = () => {
    sync()
    queueMicrotask(tell)
  }
  inside.look = (type, fact) => {
    // The leader changes for all.
    if (type === 'use' && !leads) say(type, fact)
    look(type, fact)
    if (type === 'pause') leave()
    if (type === 'start') enter()
  }
  hub.addEventListener('state', ({ to }) => {
    if (to === 'closed') {
      leave()
      wire.close()
    } else if (leads) tell()
  })
  enter()
}
