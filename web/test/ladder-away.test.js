/**
 * The ladder while nothing gets through, or while the hub or the page is away, and the effect of its memory. Under
 * a fake clock.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Network, poll, refused, sse, stranger, ws } from './network.js'

const clear = { ws: ws(), sse: sse(), poll: poll(), check: () => ({ ok: true }) }
const carriedBy = (network) => network.carried.map(({ transport }) => transport).join(' ')

test('the clock is set back by an hour while nothing gets through: back all the same', () => {
  let free = true
  const path = (behaviour) => (step) => (free ? behaviour(step) : refused(step))
  const network = new Network({ ws: path(ws()), sse: path(sse()), poll: path(poll()), check: () => (free ? { ok: true } : {}) })
  network.now = 7_200_000
  network.observe('start')
  network.run(6000)
  free = false
  network.observe('ended', { id: network.carrying.id, why: 'closed' })
  network.run(1500)
  network.back(3_600_000)
  free = true
  network.run(6000)
  assert.equal(network.carrier, 'ws')
})

test('captive at the start: at most a request a second, and back within 2 s of online', () => {
  let free = false
  const path = (behaviour, refusal) => (step, now) => (free ? behaviour(step) : refusal(step))
  const network = new Network({ ws: path(ws(), refused), sse: path(sse(), stranger), poll: path(poll(), stranger), check: () => (free ? { ok: true } : { foreign: true }) })
  network.observe('start')
  network.run(60_000)
  assert.equal(network.state, 'captive')
  const requests = network.log.filter((step) => step.do === 'open' || step.do === 'check').map(({ at }) => at)
  for (let second = 1; second < 60; second++) assert.ok(requests.filter((at) => at >= second * 1000 && at < second * 1000 + 1000).length <= 1)
  const measured = network.steps('check').filter(({ at }) => at === 0)
  assert.ok(requests.length - measured.length < 12, `${requests.length} requests in a minute`)
  free = true
  const at = network.now
  network.observe('online')
  network.run(2000)
  assert.equal(network.state, 'connected')
  assert.ok(network.carried[0].at - at < 2000)
})

test('captive in mid-session: no round of attempts, a check every few seconds, and back on WS', () => {
  let free = true
  const path = (behaviour, refusal) => (step) => (free ? behaviour(step) : refusal(step))
  const network = new Network({ ws: path(ws(), refused), sse: path(sse(), stranger), poll: path(poll(), stranger), check: () => (free ? { ok: true } : { foreign: true }) })
  network.observe('start')
  network.run(9_000)
  free = false
  network.observe('ended', { id: network.carrying.id, why: 'closed' })
  network.run(60_000)
  assert.equal(network.state, 'captive')
  assert.ok(network.log.filter((step) => (step.do === 'open' || step.do === 'check') && step.at > 9_000).length < 15)
  free = true
  network.run(30_500)
  assert.equal(network.carrier, 'ws')
})

test('server restarted: the same transport as before, and never more than it and a check at once', () => {
  for (const last of ['ws', 'sse', 'poll']) {
    let down = false
    const path = (behaviour) => (step) => (down ? [[1, 'ended', { why: 'refused' }]] : behaviour(step))
    const network = new Network({ ...clear, ws: path(ws()), sse: path(sse()), poll: path(poll()), check: () => (down ? {} : { ok: true }) })
    network.observe('start')
    network.observe('use', { transport: last })
    network.run(20_000)
    network.observe('use', { transport: 'auto' })
    network.run(500)
    const before = network.carrier
    down = true
    const at = network.now
    network.observe('ended', { id: network.carrying.id, why: 'closed' })
    network.run(7_000)
    assert.equal(network.carrier, undefined)
    assert.ok(network.steps('open').every((step) => step.at < at || step.transport === before))
    down = false
    network.run(21_000)
    assert.equal(network.carrier, before)
  }
})

test('bye with advice: the same transport, at the time it names', () => {
  const network = new Network(clear)
  network.observe('start')
  network.run(10_000)
  network.observe('ended', { id: network.carrying.id, why: 'bye:drain', planned: true, afterMs: 730 })
  network.run(729)
  assert.equal(network.steps('open').length, 1)
  network.run(200)
  assert.equal(carriedBy(network), 'ws ws')
})

test('all refused: after the first round a request at a time, with full jitter between 1 and 20 s', () => {
  for (const random of [0, 0.999]) {
    const network = new Network({ ws: refused, sse: refused, poll: refused }, { random: () => random })
    network.observe('start')
    network.run(300_000)
    const at = network.log.filter((step) => step.do === 'open' || step.do === 'check').map(({ at }) => at)
    assert.ok(at.length > 10)
    // The first steps are the three attempts, and the check that measures the round trip.
    const pauses = at.slice(4).map((time, index) => time - at[index + 3])
    assert.ok(Math.min(...pauses) >= 1000 && Math.max(...pauses) <= 20_100, pauses.join(' '))
    if (random) assert.ok(pauses.at(-1) > 19_000)
    assert.ok(network.steps('open').length > 4, 'a check may be blocked where an attempt is not')
  }
})

test('everything refused but the check: after the first round a request at a time, and never two in a second', () => {
  const network = new Network({ ...clear, ws: refused, sse: refused, poll: refused })
  network.observe('start')
  network.run(120_000)
  const at = network.log.filter((step) => step.do === 'open' || step.do === 'check').map(({ at }) => at)
  assert.ok(at.length > 10)
  for (const [index, time] of at.slice(4).entries()) assert.ok(time - at[index + 3] >= 1000, at.join(' '))
})

test('WS and SSE killed in turn: polls at once, since pauses are for the same again', () => {
  const network = new Network({ ...clear, ws: ws({ dies: 1500, beatS: 1 }), sse: sse({ dies: 1500, beatS: 1 }) })
  network.observe('start')
  network.run(9000)
  assert.equal(carriedBy(network), 'ws ws sse sse poll')
  assert.ok(network.carried.at(-1).at < 6500, `${network.carried.at(-1).at}`)
})

test('one transport allowed, and killed each time: pauses', () => {
  const network = new Network({ ...clear, ws: ws({ dies: 100 }) }, { transports: ['ws'] })
  network.observe('start')
  network.run(60_000)
  assert.ok(network.steps('open').length < 15, `${network.steps('open').length}`)
})

test('cut during a climb: the same transport again at once', () => {
  const network = new Network({ ...clear, ws: (step, now) => (now < 30_000 ? refused() : []) })
  network.observe('start')
  network.run(30_500)
  assert.equal(network.ladder.attempts.size, 2)
  network.observe('ended', { id: network.carrying.id, why: 'closed' })
  network.run(300)
  assert.equal(network.carrier, 'sse')
})

test('the hub comes back while nothing gets through: on WS with the next check', () => {
  for (const backAt of [500, 2000, 5000, 10_000, 20_000]) {
    const path = (behaviour) => (step, now) => (now < backAt ? refused() : behaviour(step))
    const network = new Network({ ws: path(ws()), sse: path(sse()), poll: path(poll()), check: (now) => (now < backAt ? {} : { ok: true }) })
    network.observe('start')
    network.run(backAt + 20_500)
    assert.equal(network.carrier, 'ws')
    assert.ok(network.carried.at(-1).at - network.carried[0].at < 200)
  }
})

test('WebKit ends connections just before it reports that the page is left: nothing is held against them', () => {
  const network = new Network({ ...clear, ws: refused })
  network.observe('start')
  network.run(1000)
  for (let time = 0; time < 4; time++) {
    network.observe('ended', { id: network.carrying.id, why: 'closed' })
    network.observe('pause')
    network.run(1000)
    network.observe('start')
    network.run(1000)
    assert.equal(network.carrier, 'sse')
  }
  assert.equal(network.ladder.learned.sse.until, 0)
})

test('memory: a second page begins with what got through, and tries WS again later', () => {
  const network = new Network({ ...clear, ws: refused })
  network.observe('start')
  network.run(1000)
  const memory = JSON.parse(JSON.stringify(network.ladder.memory))
  const next = new Network({ ...clear, ws: refused }, { memory })
  next.observe('start')
  next.run(40_000)
  assert.equal(next.steps('open')[0].transport, 'sse')
  assert.ok(next.carried[0].at <= 200)
  assert.equal(next.steps('open')[1].transport, 'ws')
})

test('memory is of one network: with another tag WS is tried at once', () => {
  const network = new Network({ ...clear, ws: refused })
  network.observe('start')
  network.run(1000)
  const moved = (behaviour) => (step) => behaviour(step).map(([at, type, fact]) => [at, type, fact?.network ? { ...fact, network: 'n2' } : fact])
  const next = new Network({ ws: moved(ws()), sse: moved(sse()), poll: moved(poll()) }, { memory: JSON.parse(JSON.stringify(network.ladder.memory)) })
  next.observe('start')
  next.run(1000)
  assert.equal(carriedBy(next), 'sse ws')
})

test('the clock is set ahead by an hour: it looks like sleep, and the hub\'s clock is not late after it', () => {
  const network = new Network({ ...clear, ws: refused, sse: (step, now) => [[10, 'hello', { beat: 15, network: 'n1' }], [160, 'frame', { ping: true, time: now < 3_600_000 ? now + 155 : now - 3_599_845 }]] })
  network.observe('start')
  network.run(2000)
  network.sleep(3_600_000)
  network.observe('tick')
  network.run(10_000)
  assert.equal(carriedBy(network), 'sse sse')
})

test('sleep: the same transport is attached again at once, and nothing is held against the transport', () => {
  const network = new Network(clear)
  network.observe('start')
  network.run(60_000)
  network.sleep(3_600_000)
  network.run(1000)
  assert.equal(carriedBy(network), 'ws ws')
  assert.equal(network.ladder.learned.ws.until, 0)
})

test('hidden: WS is not tried again until the page is visible; after 5 min at once', () => {
  const network = new Network({ ...clear, ws: refused })
  network.observe('start')
  network.run(1000)
  network.observe('hidden')
  network.run(900_000)
  assert.equal(network.steps('open').length, 2)
  network.observe('visible')
  network.run(10)
  assert.equal(network.steps('open').length, 3)
})

test('offline: attempts are rare; online: one at once', () => {
  let down = false
  const path = (behaviour) => (step) => (down ? refused() : behaviour(step))
  const network = new Network({ ws: path(ws()), sse: path(sse()), poll: path(poll()) })
  network.observe('start')
  network.run(10_000)
  down = true
  network.observe('offline')
  network.observe('ended', { id: network.carrying.id, why: 'closed' })
  network.run(60_000)
  assert.equal(network.state, 'offline')
  assert.ok(network.steps('open').length <= 6)
  down = false
  network.observe('online')
  network.run(200)
  assert.equal(network.carrier, 'ws')
})

test('pagehide closes everything and opens nothing; pageshow resumes', () => {
  const network = new Network(clear)
  network.observe('start')
  network.run(10_000)
  network.observe('pause')
  network.run(600_000)
  assert.equal(network.steps('open').length, 1)
  network.observe('start')
  network.run(200)
  assert.equal(network.carrier, 'ws')
})
