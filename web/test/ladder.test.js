/** The ladder as a table: what the network does → what the ladder tries, and when. Under a fake clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deaf, held, mute, Network, poll, refused, sse, stranger, together, ws } from './network.js'

const clear = { ws: ws(), sse: sse(), poll: poll(), check: () => ({ ok: true }) }
const carriedBy = (network) => network.carried.map(({ transport }) => transport).join(' ')

/** First connect: [name, paths, carriers in order, time limit of the first in ms, of the last in ms]. */
const first = [
  ['clear', {}, 'ws', 100],
  ['Upgrade refused', { ws: refused }, 'sse', 500],
  ['Upgrade swallowed', { ws: mute }, 'sse', 1500],
  ['101, then silence', { ws: deaf }, 'sse', 1500],
  ['Upgrade answered late', { ws: () => ws()({}).map(([at, ...rest]) => [at + 3000, ...rest]) }, 'sse ws', 1500, 3200],
  ['streams held whole', { ws: refused, sse: mute }, 'poll', 3000],
  ['the probe held back', { ws: refused, sse: held }, 'poll', 3000],
  ['WS swallowed and streams held', { ws: mute, sse: mute }, 'poll', 3000],
  ['WS and streams refused', { ws: refused, sse: refused }, 'poll', 200],
  ['WS refused, streams refused by a page', { ws: refused, sse: stranger }, 'poll', 200],
  ['hello and probe in one piece', { ws: refused, sse: together }, 'poll', 3000],
]
for (const [name, paths, expected, firstMs, lastMs = firstMs] of first) {
  test(`first connect: ${name}`, () => {
    const network = new Network({ ...clear, ...paths })
    network.observe('start')
    network.run(10_000)
    assert.equal(carriedBy(network), expected)
    assert.ok(network.carried[0].at <= firstMs, `usable after ${network.carried[0].at} ms`)
    assert.ok(network.carried.at(-1).at <= lastMs, `best after ${network.carried.at(-1).at} ms`)
  })
}

test('clear path: nothing but WS is ever opened, for an hour', () => {
  const network = new Network(clear)
  network.observe('start')
  network.run(3_600_000)
  assert.deepEqual(network.steps('open').map(({ transport }) => transport), ['ws'])
})

test('a round trip of 600 ms is no reason for a false fallback', () => {
  const slow = (behaviour) => (step) => behaviour(step).map(([at, ...rest]) => [at < 1000 ? at * 30 : at + 1800, ...rest])
  const network = new Network({ ...clear, check: () => ({ ok: true, ms: 600 }), ws: slow(ws()), sse: () => [[1200, 'hello', {}], [1350, 'frame', { ping: true }]], poll: () => [[1200, 'hello', {}], [1200, 'proof']] })
  network.observe('start')
  network.run(60_000)
  assert.equal(carriedBy(network), 'ws')
})

/**
 * The HTTP connection of a page is warm; its WS needs TCP (and TLS), Upgrade and ping. [hello, proof] of WS, in
 * round trips.
 */
for (const [name, hello, proof] of [['cleartext', 2, 3], ['TLS', 3, 4]]) {
  test(`a browser 600 ms away, ${name}: 100 connects, 0 false fallbacks, and nothing is held against WS`, () => {
    let memory
    for (let time = 0; time < 100; time++) {
      const network = new Network({
        ws: () => [[hello * 600 + 20, 'hello', { beat: 15, network: 'n1' }], [proof * 600 + 40, 'proof']],
        sse: () => [[600, 'frame'], [605, 'hello', { beat: 15, network: 'n1' }], [755, 'frame', { ping: true }]],
        poll: () => [[605, 'hello', { network: 'n1' }], [605, 'proof']],
      }, { memory })
      network.observe('start')
      network.run(4000)
      assert.equal(carriedBy(network), 'ws')
      memory = JSON.parse(JSON.stringify(network.ladder.memory))
      assert.equal(memory.n1.ws.until, 0)
    }
  })
}

test('a WS that came late is welcome, and first again on the next page', () => {
  const late = { ...clear, ws: () => [[1200, 'hello', { beat: 15, network: 'n1' }], [8000, 'proof']] }
  const network = new Network(late)
  network.observe('start')
  network.run(20_000)
  assert.equal(carriedBy(network), 'sse ws')
  const next = new Network(late, { memory: JSON.parse(JSON.stringify(network.ladder.memory)) })
  next.now = network.now
  next.observe('start')
  assert.equal(next.steps('open')[0].transport, 'ws')
})

test('WS left on first connect is tried again at 30 s, 2 min, 10 min, 30 min, next to the carrier', () => {
  const network = new Network({ ...clear, ws: refused })
  network.observe('start')
  network.run(3_600_000)
  const tries = network.steps('open').filter(({ transport }) => transport === 'ws')
  assert.deepEqual(tries.map(({ at }) => Math.round(at / 1000)), [0, 30, 150, 750, 2550])
  assert.equal(carriedBy(network), 'sse')
})

test('block lifted: back on WS within 35 s, and SSE is closed only then', () => {
  const network = new Network({ ...clear, ws: (step, now) => (now < 20_000 ? refused() : ws()(step)) })
  network.observe('start')
  network.run(40_000)
  assert.equal(carriedBy(network), 'sse ws')
  assert.ok(network.carried[1].at <= 35_000)
  const closed = network.steps('close').find(({ id }) => id === network.steps('open')[1].id)
  assert.equal(closed.at, network.carried[1].at)
})

for (const dies of [70, 200, 500]) {
  test(`WS killed ${dies} ms after it was opened: left after two attempts, and no flapping after`, () => {
    const network = new Network({ ...clear, ws: ws({ dies }) })
    network.observe('start')
    network.run(3_000)
    assert.equal(network.carrier, 'sse')
    const flaps = network.carried.length
    assert.ok(network.steps('open').filter(({ transport }) => transport === 'ws').length <= 3)
    network.run(3_600_000)
    assert.equal(network.carried.length, flaps, JSON.stringify(network.carried))
  })
}

test('WS cut when idle for 5 s: after two cuts, a heartbeat keeps it', () => {
  const network = new Network({ ...clear, ws: ws({ idle: 5000 }) })
  network.observe('start')
  network.run(600_000)
  assert.equal(carriedBy(network), 'ws ws ws')
  assert.equal(network.steps('open').at(-1).beat, 2)
})

test('WS cut each 5 s by age, whatever is sent: left', () => {
  const network = new Network({ ...clear, ws: ws({ dies: 5000, beatS: 1 }) })
  network.observe('start')
  network.run(60_000)
  assert.equal(network.carrier, 'sse')
  assert.ok(network.steps('open').filter(({ transport, at }) => transport === 'ws' && at < 20_000).length <= 3)
})

test('WS cut at 60 s by age: the next one is attached at 48 s, before the cut', () => {
  const network = new Network({ ...clear, ws: ws({ dies: 60_000, beatS: 7 }) })
  network.observe('start')
  network.run(400_000)
  assert.equal(new Set(network.carried.map(({ transport }) => transport)).size, 1)
  const planned = network.carried.filter(({ why }) => why === 'age')
  assert.ok(planned.length >= 4)
  assert.equal(network.steps('state').filter(({ state }) => state === 'reconnecting').length, 2)
})

test('SSE cut each 5 s by age: polls, held 0.7 of it', () => {
  const network = new Network({ ...clear, ws: refused, sse: sse({ dies: 5000, beatS: 1 }) })
  network.observe('start')
  network.run(29_000)
  assert.equal(network.carrier, 'poll')
  assert.equal(network.steps('open').findLast(({ transport }) => transport === 'poll').wait, 3)
})

test('polls cut at 5 s: early heads after two cuts', () => {
  const network = new Network({ ...clear, poll: poll({ cut: 5000 }) }, { transports: ['poll'] })
  network.observe('start')
  network.run(60_000)
  assert.equal(network.steps('open').length, 3)
  assert.equal(network.steps('open').at(-1).early, 1)
})

test('an SSE that begins to hold late is left within two heartbeats', () => {
  const network = new Network({ ...clear, ws: refused, sse: sse({ silentFrom: 100_000 }) })
  network.observe('start')
  network.run(100_000 + 30_000)
  assert.equal(carriedBy(network), 'sse poll')
})

test('a WS falls silent: WS again once, then it is left', () => {
  const network = new Network({ ...clear, ws: ws({ silentFrom: 20_000 }) })
  network.observe('start')
  network.run(60_000)
  assert.equal(carriedBy(network), 'ws ws')
  network.run(60_000)
  assert.equal(network.carrier, 'sse')
})

test('a poll falls silent: polls again, before anything else is tried', () => {
  let opened = 0
  const network = new Network({ ...clear, ws: refused, sse: refused, poll: (step) => poll()(step).filter(([at]) => opened > 1 || at < 60_000, (opened += 1)) })
  network.observe('start')
  network.run(200_000)
  assert.equal(network.steps('open').find(({ why }) => why === 'poll:silent').transport, 'poll')
  assert.equal(carriedBy(network), 'poll poll')
})

test('the clock is set forward by an hour: the stream is attached again, and its events are not late', () => {
  const network = new Network({ ...clear, ws: refused })
  network.observe('start')
  network.run(1000)
  const hear = (/** @type {number} */ behindMs) => network.observe('frame', { id: network.carrying.id, time: network.now - behindMs })
  for (let count = 0; count < 3; count++) hear(5)
  network.sleep(3_600_000)
  network.run(5000)
  for (let count = 0; count < 5; count++) hear(3_600_005)
  network.run(5000)
  assert.equal(carriedBy(network), 'sse sse')
})

test('a stream whose events come late three times in a row is left', () => {
  const network = new Network({ ...clear, ws: refused })
  network.observe('start')
  network.run(300)
  const { id } = network.carrying
  network.observe('frame', { id, ping: true, time: network.now })
  for (let i = 0; i < 3; i++) {
    network.run(100)
    network.observe('frame', { id, time: network.now - 50 })
  }
  assert.equal(network.carrier, 'sse')
  for (let i = 0; i < 3; i++) {
    network.run(100)
    network.observe('frame', { id, time: network.now - 1800 })
  }
  network.run(500)
  assert.equal(network.carrier, 'sse', 'what was replayed from before the stream does not count')
  network.run(5000)
  for (let i = 0; i < 3; i++) network.run(100).observe('frame', { id, time: network.now - 1500 })
  network.run(500)
  assert.equal(network.carrier, 'poll')
})

test('a stream that is late by 3 s does not take over from polls that are prompt', () => {
  const late = () => [[3040, 'hello', { beat: 15 }], [3190, 'frame', { ping: true, time: 1_000_190 }]]
  const prompt = (step, now) => [...poll()(step).slice(0, 2), ...[...Array(90).keys()].map((n) => [60 + 100 * n, 'frame', { time: 1_000_000 + now + 55 + 100 * n }])]
  const network = new Network({ ...clear, ws: refused, sse: late, poll: prompt })
  network.observe('start')
  network.run(9000)
  assert.equal(carriedBy(network), 'poll')
})

test('six changes in five minutes: then polls, and calm for ten', () => {
  let broken
  const path = (behaviour) => (step) => (step.transport === broken ? refused() : behaviour(step))
  const network = new Network({ ...clear, ws: path(ws()), sse: path(sse()), poll: path(poll()) })
  network.observe('start')
  network.run(500)
  for (let i = 0; i < 7; i++) {
    broken = network.carrier
    network.observe('ended', { id: network.carrying.id, why: 'closed' })
    network.run(6000)
  }
  broken = undefined
  network.observe('ended', { id: network.carrying.id, why: 'closed', planned: true })
  network.run(6000)
  const changes = network.carried.length
  network.run(590_000)
  assert.ok(network.carried.length <= changes + 1)
  network.run(60_000)
  assert.equal(network.carrier, 'ws')
})

test('chosen by hand: another transport although a better one works, and back', () => {
  const network = new Network(clear)
  network.observe('start')
  network.run(1000)
  for (const transport of ['poll', 'sse', 'ws', 'poll']) {
    network.observe('use', { transport })
    network.run(1000)
    assert.equal(network.carrier, transport)
  }
  network.run(100_000)
  assert.equal(network.carrier, 'poll', 'the choice stays')
  network.observe('use', { transport: 'auto' })
  network.run(1000)
  assert.equal(network.carrier, 'ws')
})

test('a carrier closes only after another one is proven, in every change that is not a cut', () => {
  const network = new Network({ ...clear, ws: ws({ silentFrom: 20_000 }) })
  network.observe('start')
  network.run(200_000)
  for (const { id, at } of network.steps('close')) {
    const carry = network.steps('carry').find((step) => step.id === id)
    if (carry) assert.ok(network.steps('carry').some((step) => step.at === at && step.id !== id))
  }
})

test('chosen by hand but unavailable: tried again as a climb, while the other carries', () => {
  const network = new Network({ ...clear, sse: (step, now) => (now < 100_000 ? refused() : sse()(step)) })
  network.observe('start')
  network.run(1000)
  network.observe('use', { transport: 'sse' })
  network.run(90_000)
  assert.equal(network.carrier, 'ws')
  network.run(100_000)
  assert.equal(network.carrier, 'sse')
})

test('polls of which some answers are lost: the next poll at once', () => {
  const lossy = (step) => [[40, 'hello', { network: 'n1' }], [40, 'proof'], [200, 'frame'], [400, 'frame'], [600, 'ended', { why: 'closed' }]]
  const network = new Network({ ...clear, poll: lossy }, { transports: ['poll'] })
  network.observe('start')
  network.run(60_000)
  const at = network.carried.map(({ at }) => at)
  assert.ok(Math.max(...at.slice(1).map((time, index) => time - at[index])) < 700)
})

test('why it is not WS: each reason is reported', () => {
  for (const [behaviour, why] of [[refused, 'ws:refused'], [mute, 'ws:slow'], [deaf, 'ws:slow']]) {
    const network = new Network({ ...clear, ws: behaviour })
    network.observe('start')
    network.run(5000)
    assert.equal(network.carried[0].why, why)
    assert.ok(network.steps('failed').some(({ id }) => id === 1))
  }
})

test('a page that was busy when the probe came: the second probe brings SSE back from polls', () => {
  const busy = (step) => [[300, 'hello', { beat: 15 }], [301, 'frame', { ping: true }], ...sse()(step).slice(2).map(([at, ...rest]) => [at, ...rest]), [5040, 'frame', { ping: true }]]
  const network = new Network({ ...clear, ws: refused, sse: busy })
  network.observe('start')
  network.run(8000)
  assert.equal(carriedBy(network), 'poll sse')
})

test('WS said hello before SSE was proven: its proof is waited for', () => {
  const network = new Network({ ...clear, check: () => ({ ok: true, ms: 600 }), ws: () => [[1200, 'hello', { beat: 15 }], [2000, 'proof']], sse: () => [[600, 'hello', { beat: 15 }], [750, 'frame', { ping: true }]], poll: mute })
  network.observe('start')
  network.run(5000)
  assert.equal(carriedBy(network), 'ws')
})

test('the address of the check stays blocked: the return of the hub is noticed all the same', () => {
  let free = false
  const path = (behaviour, refusal) => (step) => (free ? behaviour(step) : refusal(step))
  const network = new Network({ ws: path(ws(), refused), sse: path(sse(), stranger), poll: path(poll(), stranger), check: () => ({ foreign: true }) })
  network.observe('start')
  network.run(5000)
  assert.equal(network.state, 'captive')
  free = true
  network.run(240_000)
  assert.equal(network.carrier, 'ws')
})

test('memory: a stream that carried here before carries at its hello; held this time, it is left', () => {
  const network = new Network({ ...clear, ws: refused })
  network.observe('start')
  network.run(1000)
  const again = (paths) => new Network({ ...clear, ws: refused, ...paths }, { memory: JSON.parse(JSON.stringify(network.ladder.memory)) })
  const good = again({})
  good.observe('start')
  good.run(20_000)
  assert.equal(carriedBy(good), 'sse')
  assert.ok(good.carried[0].at < 60)
  const bad = again({ sse: (step) => held(step).slice(0, 1) })
  bad.observe('start')
  bad.run(3000)
  assert.equal(carriedBy(bad), 'sse poll')
})
