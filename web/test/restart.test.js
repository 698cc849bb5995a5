/**
 * The hub of many clients stops, by a drain or a kill, and starts again at the same address. The clients reconnect
 * on the same transport, spread over time, and no event is delivered twice.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'
import { connect } from '../dist/client.mjs'
import { binary, startServer } from './server.js'
import { Middlebox } from './support/middlebox.js'
import { until } from './hub.js'

const skip = binary ? false : 'no server is built'
const HUBS = 50
/**
 * The time until all clients have received an event from after the restart, in ms. A drain spreads them over 2 s,
 * and a poll may be held.
 */
const BACK_MOST_MS = 15_000
/**
 * The least time between the tenth and the ninetieth percentile of the reconnects, in ms. A drain assigns each
 * client a time, evenly over 2 s. After a kill, each client chooses a random part of the second after the first.
 */
const SPREAD_LEAST_MS = { SIGTERM: 1000, SIGKILL: 400 }
/** The hub says "not before 100 ms". A timer may be a little early. */
const NOT_BEFORE_MS = 95

/** Returns one client, with the times of its attempts to read. @param {string} address */
function guestOf(address) {
  const guest = { seen: /** @type {any[]} */ ([]), ways: /** @type {string[]} */ ([]), tries: /** @type {number[]} */ ([]), inVain: 0, backAt: 0, hub: /** @type {any} */ (undefined) }
  const note = (/** @type {string} */ url) => {
    if (/\/(ws|sse|poll)\?/.test(url)) guest.tries.push(Date.now())
  }
  /** Counts requests that did not reach the hub. @param {string} url @param {any} init */
  const looked = async (url, init) => {
    note(url)
    const isLook = /\/(healthz|poll)\?/.test(url)
    try {
      const answer = await fetch(url, init)
      if (isLook && !answer.ok) guest.inVain++
      return answer
    } catch (error) {
      if (isLook) guest.inVain++
      throw error
    }
  }
  guest.hub = connect(address, {
    fetch: /** @type {any} */ (looked),
    WebSocket: class extends WebSocket {
      /** @param {string} url @param {string[]} protocols */
      constructor(url, protocols) {
        note(url)
        super(url, protocols)
      }
    },
  })
  guest.hub.channel('lobby').addEventListener('message', (/** @type {any} */ { data }) => {
    guest.seen.push(data)
    if (data === 'after') guest.backAt = Date.now()
  })
  guest.hub.addEventListener('transport', (/** @type {any} */ { to }) => {
    if (!to) return
    guest.ways.push(to)
    guest.backAt = Date.now()
  })
  return guest
}

/** @param {string} address @param {string} data */
const publish = (address, data) => fetch(address + 'pub/lobby', { method: 'POST', body: data, headers: { 'content-type': 'text/plain' } })

/** @param {string} address @param {string} transport @returns {Promise<number>} how many readers the hub has */
async function readers(address, transport) {
  const metrics = await (await fetch(address + 'metrics')).text()
  return Number(new RegExp(`^triway_readers\\{transport="${transport}"\\} (\\d+)$`, 'm').exec(metrics)?.[1] ?? 0)
}

/** @param {string} transport @param {any} rules by which it is the best that gets through */
async function crowd(transport, rules) {
  const server = await startServer()
  const box = await Middlebox.start({ port: server.port }, rules)
  const guests = Array.from({ length: HUBS }, () => guestOf(box.address))
  await Promise.all(guests.map(({ hub }) => hub.ready))
  await until(() => guests.every(({ hub }) => hub.transport === transport), `all by ${transport}`)
  await publish(server.address, 'before')
  await until(() => guests.every(({ seen }) => seen.length === 1), 'all to hear')
  // Wait until each poll is held again.
  await until(async () => (await readers(server.address, transport)) === HUBS, 'all to wait')
  return { server, box, guests }
}

/** @param {string} transport @param {any} rules @param {'SIGTERM' | 'SIGKILL'} signal @param {import('node:test').TestContext} t */
async function restarted(transport, rules, signal, t) {
  const { server, box, guests } = await crowd(transport, rules)
  let next
  try {
    const from = Date.now()
    const before = guests.map(({ ways }) => ways.length)
    await server.stop(signal)
    // Each client has tried at once, without success. Its own pause follows.
    if (signal === 'SIGKILL') await until(() => guests.every(({ inVain }) => inVain), 'all to look for it')
    next = await startServer([], server.port)
    const isBack = Date.now()
    await publish(next.address, 'after')
    await until(() => guests.every(({ hub, seen }) => seen.length >= 2 && hub.transport), 'all to hear again', BACK_MOST_MS)
    await until(() => guests.every(({ hub }) => hub.transport === transport), `all by ${transport} again`, BACK_MOST_MS)
    // After a drain, a client reconnects at its assigned time, at the first attempt. After a kill, its last attempt
    // succeeds.
    const came = (/** @type {ReturnType<typeof guestOf>} */ { tries, backAt }) => (signal === 'SIGTERM' ? tries.find((at) => at >= from) : tries.filter((at) => at <= backAt).at(-1)) ?? 0
    const times = guests.map((guest) => came(guest) - from).sort((one, other) => one - other)
    const part = (/** @type {number} */ share) => times[Math.floor(share * (times.length - 1))]
    t.diagnostic(`${transport}, ${signal}: down for ${isBack - from} ms; ${times.length} came back between ${times[0]} and ${times.at(-1)} ms, eight of ten between ${part(0.1)} and ${part(0.9)}`)
    for (const [at, { hub, ways, seen }] of guests.entries()) {
      assert.equal(seen.join(), 'before,after')
      // After a kill, all clients try at once. If the hub or the machine is then slow, another transport may carry
      // for a moment.
      const since = signal === 'SIGTERM' ? ways.slice(before[at]) : ways.slice(-1)
      assert.deepEqual([...new Set(since)], [transport], `the way it had, and no other between: ${since}\n${await hub.report()}`)
    }
    assert.ok(times[0] > 0, 'each had to come back')
    if (signal === 'SIGTERM') assert.ok(times[0] >= NOT_BEFORE_MS, `none before it was said to: ${times}`)
    assert.ok(part(0.9) - part(0.1) >= SPREAD_LEAST_MS[signal], `spread in time: ${times}`)
  } finally {
    for (const { hub } of guests) hub.close()
    await box.stop()
    await server.stop()
    await next?.stop()
  }
}

for (const [transport, rules] of Object.entries({ ws: {}, sse: { ws: { refuse: 403 } }, poll: { ws: { refuse: 403 }, sse: { refuse: 502 } } })) {
  test(`a drained hub: ${HUBS} clients by ${transport} come back by it, spread in time`, { skip }, (t) => restarted(transport, rules, 'SIGTERM', t))
  test(`a hub that died: ${HUBS} clients by ${transport} come back by it, spread in time`, { skip }, (t) => restarted(transport, rules, 'SIGKILL', t))
}
