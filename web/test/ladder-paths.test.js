/**
 * The ladder on complete paths: how soon a page is usable (p50 and p90 over many seeds), that slow clean paths
 * cause no fallback, and that single frames must arrive alone. Under a virtual clock.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Adaptation } from '../adaptation.js'
import { Ladder } from '../ladder.js'
import { quantile, seeded, VirtualNetwork } from './support/virtual-network.js'

const SEEDS = 200
const copy = (value) => JSON.parse(JSON.stringify(value))

/** Returns a page that connects. */
function connect(path, seed, { memory, now = 0, transports = ['ws', 'sse', 'poll'] } = {}) {
  const random = seeded(seed)
  const network = new VirtualNetwork(new Ladder({ transports, random, memory, adaptation: new Adaptation() }), random, path)
  network.now = now
  network.observe('start')
  return network
}

/** Returns the times until the transport carries, in ms, of first and second visits of many pages. */
function visits(path, transport) {
  const times = { first: [], next: [] }
  for (let seed = 1; seed <= SEEDS; seed++) {
    const page = connect(path, seed).run(12_000)
    assert.equal(page.carried.at(-1).transport, transport)
    times.first.push(page.carried[0].at)
    const again = connect(path, seed + SEEDS, { memory: copy(page.ladder.memory), now: page.now }).run(12_000)
    assert.equal(again.carried[0].transport, transport)
    times.next.push(again.carried[0].at - page.now)
  }
  return times
}

const summary = (values) => `p50 ${Math.round(quantile(values, 0.5))} ms, p90 ${Math.round(quantile(values, 0.9))} ms`

/** Obstacles, and the transport that the client falls back to. */
const fallbacks = [
  ['Upgrade swallowed', { ws: 'swallowed' }, 'sse'],
  ['101, then silence', { ws: 'deaf' }, 'sse'],
  ['Upgrade refused', { ws: 'refused' }, 'sse'],
  ['WS delays each frame until the next', { ws: 'lag-one' }, 'sse'],
  ['Upgrade swallowed, streams held', { ws: 'swallowed', sse: 'held' }, 'poll'],
  ['Upgrade swallowed, bodies held', { ws: 'swallowed', sse: 'body-held' }, 'poll'],
  ['Upgrade refused, streams held', { ws: 'refused', sse: 'held' }, 'poll'],
  ['Upgrade refused, bodies held', { ws: 'refused', sse: 'body-held' }, 'poll'],
]
const near = [
  ['20 ms', { rtt: 20 }],
  ['50 ms, TLS', { rtt: 50, tls: true }],
  ['90 ms, TLS', { rtt: 90, tls: true }],
  ['90 ms, TLS, HTTP/2', { rtt: 90, tls: true, http2: true }],
]
for (const [name, boxes, transport] of fallbacks) {
  for (const [distance, path] of near) {
    test(`${name}, ${distance}: usable within 1.0 s, and within 0.3 s on the next visit`, (context) => {
      const { first, next } = visits({ ...boxes, ...path }, transport)
      context.diagnostic(`${name}, ${distance}: first ${summary(first)}; next ${summary(next)}`)
      assert.ok(quantile(first, 0.9) <= 1000, summary(first))
      assert.ok(quantile(next, 0.9) <= 300, summary(next))
    })
  }
}

/** A publish takes one round trip longer than this until it is answered. A held stream gets the time that an open one would need. */
for (const [name, boxes, transport] of fallbacks.filter(([, { ws }]) => ws === 'refused')) {
  const most = boxes.sse ? 2200 : 1500
  test(`${name}, 400 ms: carries within ${most} ms`, (context) => {
    const { first } = visits({ ...boxes, rtt: 400 }, transport)
    context.diagnostic(`${name}, 400 ms: first ${summary(first)}`)
    assert.ok(quantile(first, 0.9) <= most, summary(first))
  })
}

/** Slow clean paths, with cold and warm connections. */
const clean = [100, 400, 800].flatMap((rtt) =>
  [{}, { warm: true }, { tls: true }, { tls: true, warm: true }, { tls: true, http2: true }, { tls: true, http2: true, warm: true }, { tls: true, workMs: 700, warm: true }].map((more) => ({ rtt, ...more })),
)
for (const path of clean) {
  test(`clean path ${JSON.stringify(path)}: WS carries first and alone, and nothing is held against it`, (context) => {
    const times = []
    for (let seed = 1; seed <= SEEDS; seed++) {
      const page = connect(path, seed).run(12_000)
      assert.deepEqual(page.carried.map(({ transport }) => transport), ['ws'], `seed ${seed}`)
      assert.equal(page.ladder.learned.ws.until, 0)
      times.push(page.carried[0].at)
    }
    context.diagnostic(`clean ${JSON.stringify(path)}: ${summary(times)}`)
  })
}

test('without an answer to the check a slow clean path causes no fallback either', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const page = connect({ rtt: 800, tls: true, check: 'swallowed' }, seed).run(12_000)
    assert.deepEqual(page.carried.map(({ transport }) => transport), ['ws'], `seed ${seed}`)
  }
})

for (const rtt of [20, 90, 200, 400]) {
  for (const sse of ['ok', 'held']) {
    test(`WS that delays each frame until the next, ${rtt} ms: never takes over from ${sse === 'ok' ? 'SSE' : 'polls'}, in half an hour`, () => {
      for (let seed = 1; seed <= 5; seed++) {
        const page = connect({ rtt, ws: 'lag-one', sse }, seed)
        page.run(1_800_000)
        assert.equal(page.carried[0].transport, sse === 'ok' ? 'sse' : 'poll')
        assert.ok(page.carried.every(({ transport }) => transport !== 'ws'), `seed ${seed}`)
        assert.ok(page.log.filter((step) => step.do === 'open' && step.transport === 'ws').length >= 4)
      }
    })
  }
  for (const old of [false, true]) {
    test(`block lifted, ${rtt} ms, hub ${old ? 'without' : 'with'} lone pings on WS: WS takes over within 35 s`, () => {
      for (let seed = 1; seed <= 20; seed++) {
        const page = connect({ rtt, ws: 'refused', old }, seed).run(20_000)
        page.path.ws = 'ok'
        page.run(20_000)
        assert.deepEqual(page.carried.map(({ transport }) => transport), ['sse', 'ws'], `seed ${seed}`)
        assert.ok(page.carried[1].at < 35_000 + 20 * rtt)
      }
    })
  }
}

for (const everyMs of [300, 500, 1700, 4000]) {
  test(`WS that delays each frame until the next, an event each ${everyMs} ms: does not take over from SSE`, () => {
    for (let seed = 1; seed <= 20; seed++) {
      const page = connect({ rtt: 20, ws: 'refused' }, seed).run(10_000 + seed * 17)
      page.path.ws = 'lag-one'
      for (const end = page.now + 60_000; page.now < end; page.run(everyMs)) for (const send of page.senders.values()) send({ type: 'event', time: 1_000_000 + page.now })
      assert.deepEqual(page.carried.map(({ transport }) => transport), ['sse'], `seed ${seed}`)
    }
  })
}

for (const transport of ['ws', 'sse']) {
  test(`${transport} delays each frame until the next from some time on, while events flow: left within 10 s`, () => {
    for (const everyMs of [700, 1700, 2500]) {
      const box = transport === 'ws' ? {} : { ws: 'refused' }
      const page = connect({ rtt: 20, ...box }, everyMs).run(4000)
      page.path[transport] = 'lag-one'
      const from = page.now
      for (; page.now < from + 10_000; page.run(everyMs)) for (const send of page.senders.values()) send({ type: 'event', time: 1_000_000 + page.now })
      assert.notEqual(page.carried.at(-1).transport, transport, `each ${everyMs} ms`)
    }
  })

  test(`${transport} begins to delay each frame until the next: left after the first event, within 3 s and two round trips`, () => {
    for (const rtt of [20, 100, 400]) {
      const box = transport === 'ws' ? {} : { ws: 'refused' }
      const page = connect({ rtt, ...box }, rtt).run(20_000)
      assert.equal(page.carried[0].transport, transport)
      page.path[transport] = 'lag-one'
      const publish = page.senders.get(page.carried[0].id)
      publish({ type: 'event', time: 1_000_000 + page.now })
      page.run(900)
      publish({ type: 'event', time: 1_000_000 + page.now })
      const from = page.now
      page.run(60_000)
      const [, next] = page.carried
      assert.equal(next.why, `${transport}:held`)
      assert.ok(next.at - from < 1000 + 1000 + 1500 + 100 + 150 + 10 * rtt, `${next.at - from} ms`)
    }
  })

  test(`${transport}, hub of an older build: no ping after events is no reason to leave`, () => {
    const page = connect({ old: true, ...(transport === 'sse' && { ws: 'refused' }) }, 1).run(10_000)
    for (let count = 0; count < 20; count++) {
      page.senders.get(page.carried[0].id)({ type: 'event', time: 1_000_000 + page.now })
      page.run(5000)
    }
    assert.deepEqual(page.carried.map((one) => one.transport), [transport])
  })

  for (const rtt of [20, 100, 400, 800]) {
    test(`${transport}, ${rtt} ms, events now and then, for half an hour: never suspect`, () => {
      for (let seed = 1; seed <= 5; seed++) {
        const page = connect({ rtt, tls: true, ...(transport === 'sse' && { ws: 'refused' }) }, seed).run(15_000)
        const { id } = page.carried.at(-1)
        publishAtRandom(page, id, seed, 1_800_000)
        assert.deepEqual(page.carried.filter(({ at }) => at > 15_000), [], `seed ${seed}`)
        assert.ok(page.log.every(({ at, why }) => at < 15_000 || !/^(ws|sse):(held|slow)/.test(why)), `seed ${seed}`)
      }
    })
  }
}

/** Publishes bursts of events, with pauses from 0.1 to 20 s. */
function publishAtRandom(page, id, seed, ms, pause = (lastMs) => page.run(lastMs)) {
  const random = seeded(seed + 1000)
  const end = page.now + ms
  while (page.now < end) {
    for (let count = Math.floor(random() * 5); count >= 0; count--) page.senders.get(id)?.({ type: 'event', time: 1_000_000 + page.now })
    pause(100 + random() ** 4 * 20_000, random)
  }
}

test('a page that is busy for up to 4 s at any time: never suspect', () => {
  for (const rtt of [20, 400]) {
    for (let seed = 1; seed <= 20; seed++) {
      const page = connect({ rtt }, seed).run(10_000)
      const { id } = page.carried.at(-1)
      publishAtRandom(page, id, seed, 300_000, (ms, random) => (random() < 0.5 ? page.run(ms) : page.freeze(random() * 4000).run(2000)))
      assert.deepEqual(page.carried.map((one) => one.id), [id], `seed ${seed}`)
    }
  }
})

test('a page that is busy while it connects: WS all the same', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const page = connect({ rtt: 50, tls: true }, seed)
    page.run(10 * seed)
    page.freeze(3000)
    page.run(9000)
    assert.deepEqual(page.carried.map(({ transport }) => transport), ['ws'], `seed ${seed}`)
  }
})

test('a page that is busy whenever the first pings arrive: SSE all the same, without a detour', () => {
  let direct = 0
  for (let seed = 1; seed <= 100; seed++) {
    const page = connect({ rtt: 30, ws: 'refused' }, seed)
    const random = seeded(seed)
    while (page.now < 2000) page.run(20 + random() * 100).freeze(random() * 400)
    page.run(10_000)
    assert.equal(page.carried.at(-1).transport, 'sse', `seed ${seed}`)
    if (page.carried.length === 1) direct++
  }
  assert.ok(direct >= 90, `${direct} of 100 without a detour`)
})

test('a hidden page whose timers run once a minute: never suspect', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const page = connect({ rtt: 100 }, seed).run(10_000)
    const { id } = page.carried.at(-1)
    page.observe('hidden')
    page.throttleMs = 60_000
    publishAtRandom(page, id, seed, 600_000)
    page.throttleMs = 0
    page.observe('visible')
    page.run(20_000)
    assert.deepEqual(page.carried.map((one) => one.id), [id], `seed ${seed}`)
  }
})

test('sleep right after an event: the same transport again, and nothing is held against it', () => {
  const page = connect({ rtt: 100 }, 1).run(10_000)
  page.senders.get(page.carried[0].id)({ type: 'event', time: 1_000_000 + page.now })
  page.run(500)
  page.sleep(3_600_000)
  page.run(5000)
  assert.deepEqual(page.carried.map(({ transport }) => transport), ['ws', 'ws'])
  assert.equal(page.carried[1].why, 'ws:sleep')
  assert.equal(page.ladder.learned.ws.until, 0)
})

test('WS of a hub with lone pings whose lone ping does not come: suspect as held', () => {
  const page = connect({ rtt: 20, ws: 'no-probe' }, 1).run(5000)
  assert.deepEqual(page.carried.map(({ transport, why }) => `${transport} ${why}`), ['ws start', 'sse ws:held'])
})

test('WS alone is allowed, and delays each frame until the next: it carries all the same', () => {
  const page = connect({ rtt: 20, ws: 'lag-one' }, 1, { transports: ['ws'] }).run(12_000)
  assert.equal(page.carried[0].transport, 'ws')
})

test('the first page is left before a transport fails: the second one knows of the failure', () => {
  const page = connect({ ws: 'refused', sse: 'lag-one' }, 1)
  let stored
  page.run(5000, () => {
    if (page.log.at(-1)?.do === 'remember') stored = copy(page.ladder.memory)
    return false
  })
  const next = connect({ ws: 'refused', sse: 'lag-one' }, 2, { memory: stored, now: page.now }).run(1000)
  assert.equal(next.log[0].transport, 'poll')
})
