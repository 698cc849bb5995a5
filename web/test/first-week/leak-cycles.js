/**
 * Repeated actions: one function for each kind, which runs in Node and in pages. Each function gets the client,
 * prepares, and returns one cycle. Everything that a cycle leaves behind must be unreachable.
 */

/**
 * @typedef {object} Stage
 * @property {(address: string, options: any) => any} connect
 * @property {string} address
 * @property {any} options
 * @property {(object: any) => void} watch
 * @property {() => Promise<any>} cut cuts all connections of the hub
 * @typedef {((at: number) => Promise<any>) & {figures?: () => any}} Cycle
 */

/** Hubs that are cut at the same time. */
const HUBS = 10

/** Returns a count of the listeners of a signal or target. @param {any} target */
function counted(target) {
  const counts = { listeners: 0 }
  const { addEventListener, removeEventListener } = target
  /** @type {Set<any>} */
  const held = new Set()
  target.addEventListener = (/** @type {any[]} */ ...args) => {
    held.add(args[1])
    counts.listeners = held.size
    args[2]?.signal?.addEventListener('abort', () => held.delete(args[1]) && (counts.listeners = held.size))
    return addEventListener.apply(target, args)
  }
  target.removeEventListener = (/** @type {any[]} */ ...args) => {
    held.delete(args[1])
    counts.listeners = held.size
    return removeEventListener.apply(target, args)
  }
  return counts
}

const next = (/** @type {any} */ target, /** @type {string} */ type, /** @type {(event: any) => any} */ fits) =>
  new Promise((resolve) => {
    const hear = (/** @type {any} */ event) => {
      if (!fits(event)) return
      target.removeEventListener(type, hear)
      resolve(event)
    }
    target.addEventListener(type, hear)
  })

/** @type {Record<string, (stage: Stage) => Promise<Cycle>>} */
export const CYCLES = {
  /** Publishes with one signal for all publishes. */
  async publish({ connect, address, options, watch }) {
    const hub = connect(address, options)
    const channel = hub.channel('leak/publish')
    await hub.ready
    const { signal } = new AbortController()
    const counts = counted(signal)
    /** @type {Cycle} */
    const cycle = async (at) => {
      const data = { at, text: 'x'.repeat(8000) }
      watch(data)
      await channel.publish(data, { signal })
    }
    cycle.figures = () => ({ listeners: counts.listeners })
    return cycle
  },

  /** Opens a channel with a loop, a named listener and its members, and closes it. */
  async channel({ connect, address, options, watch }) {
    const hub = connect(address, options)
    await hub.ready
    return async (at) => {
      const channel = hub.channel('leak/channel/' + (at % 7), { since: 'last:1' })
      watch(channel)
      const listener = () => at
      watch(listener)
      channel.on('chat', listener)
      channel.addEventListener('message', listener)
      const loop = (async () => {
        for await (const _ of channel);
      })()
      await channel.publish(at)
      channel.close()
      await loop
    }
  },

  /**
   * Cuts the connections of several hubs, which reconnect. Each of them pauses first, so they do it at the same
   * time.
   */
  async reconnect({ connect, address, options, watch, cut }) {
    const Platform = options.WebSocket ?? globalThis.WebSocket
    const watched = {
      ...options,
      fetch: async (/** @type {any} */ target, /** @type {any} */ init) => {
        if (init?.signal) watch(init.signal)
        const response = await fetch(target, init)
        watch(response)
        return response
      },
      WebSocket: class extends Platform {
        /** @param {any} target @param {any} protocols */
        constructor(target, protocols) {
          super(target, protocols)
          watch(this)
        }
      },
    }
    const hubs = Array.from({ length: HUBS }, () => connect(address, watched))
    const channels = hubs.map((hub, at) => hub.channel('leak/reconnect/' + at))
    await Promise.all(hubs.map(({ ready }) => ready))
    /** @type {Cycle} */
    const cycle = async () => {
      const heard = channels.map((channel) => next(channel, 'message', () => true))
      await cut()
      await Promise.all(channels.map((channel) => channel.publish(1)))
      await Promise.all(heard)
    }
    cycle.figures = () => ({ hubs: HUBS, state: hubs.every(({ state }) => state === 'connected') ? 'connected' : 'not all connected' })
    return cycle
  },

  /** Changes the transport by hand, to another one and back. */
  async change({ connect, address, options, watch }) {
    const [transport] = options.transports
    const other = transport === 'poll' ? 'sse' : 'poll'
    const hub = connect(address, { ...options, transports: [transport, other] })
    hub.addEventListener('transport', watch)
    const channel = hub.channel('leak/change')
    await hub.ready
    return async () => {
      for (const way of [other, transport]) {
        const changed = next(hub, 'transport', ({ to }) => to === way)
        hub.use(way)
        await changed
        await channel.publish(way)
      }
    }
  },

  /** Connects a hub with its channels, and closes it. */
  async hub({ connect, address, options, watch }) {
    return async () => {
      const hub = connect(address, options)
      watch(hub)
      const channel = hub.channel('leak/hub')
      watch(channel)
      await hub.ready
      await channel.publish(1)
      hub.close()
      await hub.closed
    }
  },

  /** Closes a hub with a signal that outlives it. */
  async signal({ connect, address, options, watch }) {
    const stop = new AbortController()
    const counts = counted(stop.signal)
    /** @type {Cycle} */
    const cycle = async () => {
      const hub = connect(address, { ...options, signal: stop.signal })
      watch(hub)
      await hub.ready
      hub.close()
      await hub.closed
    }
    cycle.figures = () => ({ listeners: counts.listeners })
    return cycle
  },
}
