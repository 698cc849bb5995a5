/**
 * One tab of an origin reads for all. The tab that holds the Web Lock leads: it runs the ladder and
 * tells every frame to the others over a BroadcastChannel. They keep their own places, so that the
 * next leader goes on from the last frame that was told. Loaded only with `share: true`.
 */
/** @typedef {import('./client.js').Hub} Hub @typedef {import('./frame.js').Frame} Frame @typedef {NonNullable<ReturnType<typeof share>>} Share */

/**
 * What it uses of the client is given, not imported: it is a file of its own.
 * @param {Hub} hub
 * @param {{ask_: typeof import('./ask.js').ask, read_: typeof import('./read.js').read, sync_: typeof import('./join.js').sync, wanted_: typeof import('./join.js').wanted, TriwayError: typeof import('./frame.js').TriwayError}} client
 */
export function share(hub, { ask_: ask, read_: read, sync_: sync, wanted_: wanted, TriwayError }) {
  // Where tabs cannot find each other, each reads for itself.
  if (!globalThis.BroadcastChannel || !globalThis.navigator?.locks) return hub.lead_()
  const name = 'triway ' + hub.base_
  const tab = crypto.randomUUID()
  const wire = new BroadcastChannel(name)
  const stop = new AbortController()
  /** What each other tab wants to read. @type {Map<string, string[]>} */
  const wishes = new Map()
  /** Publishes without an answer, by key. @type {Map<string, any>} */
  const waiting = new Map()
  /** Frames of a channel whose history is being fetched. @type {Map<string, Frame[]>} */
  const held = new Map()
  /** @type {Set<string>} */
  const fetched = new Set()
  let leads = false
  let last = ''
  const say = (/** @type {any} */ message) => stop.signal.aborted || wire.postMessage(message)
  const own = () => wanted(hub, true)

  /** What the others need to know, and to go on if this tab is gone. */
  const tell = () => {
    const { state, transport, line_: line } = hub
    say({ state, transport, line: line && { cursor: line.cursor, covered: line.covered, session: line.session } })
  }

  /** What was published before this tab listened; then what came meanwhile. @param {string} channel @param {string} since */
  const history = async (channel, since) => {
    fetched.add(channel)
    held.set(channel, [])
    for (let page, from = since; !page || page.more; from = page.cursor) {
      page = await ask(hub, 'history/' + encodeURIComponent(channel), `&limit=1000&since=${from}`)
      for (const frame of page.frames) hear(frame, true)
    }
    const frames = held.get(channel) ?? []
    held.delete(channel)
    for (const frame of frames) hear(frame)
  }

  /** @param {Frame} frame @param {boolean} [replayed] */
  const hear = (frame, replayed) => {
    const line = /** @type {any} */ (hub.line_)
    const waits = !replayed && held.get(frame.channel ?? '')
    if (waits) return waits.push(frame)
    const { cursor } = line
    read(hub, line, frame)
    if (replayed) line.cursor = cursor
  }

  const follow = async (/** @type {any} */ { state, transport, line }) => {
    if (line) hub.line_ = { ...line, transport }
    hub.session = line?.session ?? null
    hub.change_('transport', transport, 'shared')
    hub.change_('state', state, 'shared')
    if (state === 'connected') hub.isReady_()
    for (const [channel, { since }] of hub.channels_) {
      if (since && since !== 'now' && line?.covered.has(channel) && !hub.places_.has(channel) && !fetched.has(channel)) history(channel, since).catch(() => fetched.delete(channel))
    }
  }

  const publish = async (/** @type {any} */ { key, command, data }) => {
    try {
      say({ key, result: await hub.sending_.push({ ...command, key }, data) })
    } catch (error) {
      const { code, hint, status } = /** @type {any} */ (error)
      say({ key, error: { code, hint, status } })
    }
  }

  wire.onmessage = ({ data: message }) => {
    const { wish, from, leader, frame, key, command, result, error } = message
    if (wish) {
      wishes.set(from, wish)
      if (leads) sync(hub)
      if (leads) tell()
    } else if (leads) command && publish(message)
    else if (leader) {
      say({ wish: own(), from: tab })
      for (const [key, { command, data }] of waiting) say({ key, command, data })
    } else if (frame) hub.line_ && hear(frame)
    else if (key) {
      const { resolve, reject } = waiting.get(key) ?? {}
      if (waiting.delete(key)) error ? reject(new TriwayError(error.code, error)) : resolve(result)
    } else if (message.state) follow(message)
  }

  navigator.locks.request(name, { signal: stop.signal }, () => {
    leads = true
    hub.addEventListener('state', tell)
    hub.lead_()
    say({ leader: true })
    for (const [key, { command, data, resolve, reject }] of waiting) hub.sending_.push({ ...command, key }, data).then(resolve, reject)
    return new Promise((resolve) => stop.signal.addEventListener('abort', resolve))
  }).catch(() => {})
  say({ wish: own(), from: tab })

  return {
    /** What other tabs want. */
    wanted: () => (leads ? [...wishes.values()].flat() : []),
    /** The leader's frames go to all. @param {Frame} frame */
    read: (frame) => leads && say({ frame }),
    sync() {
      const wish = own()
      if (leads) tell()
      else if (wish.join() !== last) say({ wish, from: tab })
      last = wish.join()
    },
    /** @param {Record<string, any>} command @param {any} data @param {AbortSignal} [signal] */
    push(command, data, signal) {
      if (leads) return hub.sending_.push(command, data, signal)
      const key = crypto.randomUUID()
      return new Promise((resolve, reject) => {
        waiting.set(key, { command, data, resolve, reject })
        say({ key, command, data })
      })
    },
    close() {
      stop.abort()
      wire.close()
    },
  }
}
