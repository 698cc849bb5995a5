/**
 * A hub goes down under many clients, by a drain or by death, and comes back at the same address: they
 * come back by the way they had, spread in time, and nothing that was said before is said twice.
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
/** Until all have heard what is said after the restart, in ms: a drain spreads them over 2 s, and a poll may be held. */
const BACK_MOST_MS = 15_000
/**
 * How far apart the tenth and the ninetieth of a hundred come at least, in ms. A drain gives each its time, evenly over
 * 2 s. After a death each takes a random part of the second after the first.
 */
const SPREAD_LEAST_MS = { SIGTERM: 1000, SIGKILL: 400 }
/** The hub says "not before 100 ms", less what a timer may be early. */
const NOT_BEFORE_MS = 95

/** One client, with the times of its tries to read. @param {string} address */
function guestOf(address) {
  const guest = { seen: /** @type {any[]} */ ([]), ways: /** @type {string[]} */ ([]), tries: /** @type {number[]} */ ([]), inVain: 0, backAt: 0, hub: /** @type {any} */ (undefined) }
  const note = (/** @type {string} */ url) => {
    if (/\/(ws|sse|poll)\?/.test(url)) guest.tries.push(Date.now())
  }
  /** A request that did not find the hub is counted. @param {string} url @param {any} init */
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

/** @param {string} address @param {string} transport @returns {Promise<number>} how many the hub holds */
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
  // Each poll is held again.
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
    // Each has looked for it at once, in vain; what follows is its own pause.
    if (signal === 'SIGKILL') await until(() => guests.every(({ inVain }) => inVain), 'all to look for it')
    next = await startServer([], server.port)
    const isBack = Date.now()
    await publish(next.address, 'after')
    await until(() => guests.every(({ hub, seen }) => seen.length >= 2 && hub.transport), 'all to hear again', BACK_MOST_MS)
    await until(() => guests.every(({ hub }) => hub.transport === transport), `all by ${transport} again`, BACK_MOST_MS)
    // After a drain each comes when it was told to, the first time; after a death the last try is the one that got through.
    const came = (/** @type {ReturnType<typeof guestOf>} */ { tries, backAt }) => (signal === 'SIGTERM' ? tries.find((at) => at >= from) : tries.filter((at) => at <= backAt).at(-1)) ?? 0
    const times = guests.map((guest) => came(guest) - from).sort((one, other) => one - other)
    const part = (/** @type {number} */ share) => times[Math.floor(share * (times.length - 1))]
    t.diagnostic(`${transport}, ${signal}: down for ${isBack - from} ms; ${times.length} came back between ${times[0]} and ${times.at(-1)} ms, eight of ten between ${part(0.1)} and ${part(0.9)}`)
    for (const [at, { hub, ways, seen }] of guests.entries()) {
      assert.equal(seen.join(), 'before,after')
      // After a death all look at once: a hub, or a machine, that is slow then lets what is tried beside it carry for a moment.
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
