/** Rules of the ladder for starved pages, incomplete streams, cuts that teach nothing, and outages. Under a fake clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ladder } from '../ladder.js'
import { mute, Network, poll, refused, sse, stranger, ws } from './network.js'

const clear = { ws: ws(), sse: sse(), poll: poll(), check: () => ({ ok: true }) }
const carriedBy = (network) => network.carried.map(({ transport }) => transport).join(' ')
const opens = (network, from = 0) => network.steps('open').filter(({ at }) => at >= from)
const copy = (value) => JSON.parse(JSON.stringify(value))

/** Returns a page that has been on SSE for a second. */
function onSse(paths = {}, options = {}) {
  const network = new Network({ ...clear, ws: refused, ...paths }, options)
  network.observe('start')
  network.run(1000)
  assert.equal(network.carrier, 'sse')
  return network
}

test('starved on SSE: the stream is closed at once, and short polls carry', () => {
  const network = onSse()
  const { id } = network.carrying
  const steps = network.log.length
  network.observe('starved')
  const [close, open] = network.log.slice(steps)
  assert.deepEqual([close.do, close.id], ['close', id])
  assert.deepEqual([open.do, open.transport, open.wait, open.pause, open.why], ['open', 'poll', 0, 1000, 'sse:starved'])
  network.run(500)
  assert.equal(network.carrier, 'poll')
})

test('starved: other changes keep to short polls, and nothing else is opened for 60 s', () => {
  const network = onSse()
  network.observe('starved')
  network.run(10_000)
  network.observe('ended', { id: network.carrying.id, why: 'closed' })
  network.run(10_000)
  for (const fact of ['hidden', 'visible', 'blocked', 'online']) network.observe(fact)
  network.observe('hello', { id: network.carrying.id, network: 'n1', build: 'b2' })
  network.run(38_000)
  const later = opens(network, 1000)
  assert.ok(later.length >= 3)
  for (const open of later) assert.equal(open.pause, 1000)
})

test('starved: the way back up is tried after 60 s, and short polls are left for what works', () => {
  const network = onSse()
  network.observe('starved')
  network.run(61_000)
  assert.deepEqual(opens(network, 2000).map(({ transport }) => transport), ['ws', 'sse'])
  network.run(30_000)
  assert.equal(carriedBy(network), 'sse poll sse')
})

test('starved again by the stream that came back: short polls at once, and the next climb is later', () => {
  const network = onSse()
  network.observe('starved')
  network.run(80_000)
  assert.equal(network.carrier, 'sse')
  network.observe('starved')
  const at = network.now
  network.run(100_000)
  assert.equal(network.carrier, 'poll')
  assert.deepEqual(opens(network, at).filter(({ at }) => at < network.now - 40_000).map(({ pause }) => pause), [1000])
})

test('starved during a climb: the attempts that starve the page are closed with the rest', () => {
  const network = onSse()
  network.observe('starved')
  network.run(61_200)
  assert.ok(network.ladder.attempts.size > 1)
  network.observe('starved')
  assert.equal(network.ladder.attempts.size, 1)
  network.run(500)
  assert.equal(network.carrying.isShort, true)
})

test('starved before anything carried, as in a seventh tab: short polls', () => {
  const network = new Network({ ...clear, ws: refused, sse: mute, poll: (step) => (step.pause ? poll()(step) : []) })
  network.observe('start')
  network.run(5000)
  assert.equal(network.carrier, undefined)
  network.observe('starved')
  network.run(200)
  assert.equal(network.carrier, 'poll')
})

test('starved: the next page begins with short polls; after a minute held polls are tried again', () => {
  const network = new Network({ ...clear, ws: refused, sse: refused })
  network.observe('start')
  network.run(1000)
  network.observe('starved')
  network.run(1000)
  const memory = copy(network.ladder.memory)
  for (const [afterMs, pause] of [[0, 1000], [61_000, undefined]]) {
    const next = new Network({ ...clear, ws: refused, sse: refused }, { memory: copy(memory) })
    next.now = network.now + afterMs
    next.observe('start')
    next.run(1000)
    assert.equal(opens(next)[0].pause, pause)
    assert.ok(next.carried[0].at - network.now - afterMs < 300)
  }
})

test('starved means nothing on WS, and where polls are not allowed', () => {
  const onWs = new Network(clear)
  const noPolls = new Network({ ...clear, ws: refused }, { transports: ['ws', 'sse'] })
  for (const network of [onWs, noPolls]) {
    network.observe('start')
    network.run(1000)
    const before = network.log.length
    network.observe('starved')
    assert.equal(network.log.length, before)
  }
})

/** A chain of polls that is cut when nothing arrived for this time, even if bytes were sent early. */
const cutPolls = (idleMs) => (step) => {
  const holdMs = step.pause === undefined ? (step.wait ?? 25) * 1000 : 0
  if (holdMs <= idleMs) return poll()(step)
  const start = poll()(step).slice(0, 2)
  return [...start, [start[1][0] + idleMs, 'ended', { why: 'closed' }]]
}

test('held polls that are cut faster than any heartbeat: short polls after two cuts', () => {
  for (const idleMs of [500, 900]) {
    const network = new Network({ ...clear, ws: refused, sse: refused, poll: cutPolls(idleMs) })
    network.observe('start')
    network.run(10_000)
    assert.equal(network.carrying.isShort, true)
    assert.ok(opens(network).filter(({ transport }) => transport === 'poll').length <= 4)
    assert.equal(network.steps('open').at(-1).why, 'poll:idle')
  }
})

test('held polls that are cut at the shortest wait, early or not: short polls', () => {
  const holdsNothing = (step) => (step.pause === undefined ? [...poll()(step).slice(0, 2), [40 + 1010, 'ended', { why: 'closed' }]] : poll()(step))
  const network = new Network({ ...clear, ws: refused, sse: refused, poll: holdsNothing })
  network.observe('start')
  network.run(30_000)
  assert.equal(network.carrying.isShort, true)
})

test('streams cut idle sooner than any heartbeat comes: polls are short from the start', () => {
  for (const isAlike of [false, true]) {
    let lives = 0
    // An event keeps every second poll alive for longer.
    const dying = (step) => {
      const at = isAlike || lives++ % 2 === 0 ? 190 : 1400
      return [...sse()(step).slice(0, 3), ...(at > 200 ? [[at, 'frame', { event: true }]] : []), [at + 800, 'ended', { why: 'closed' }]]
    }
    const network = new Network({ ...clear, ws: refused, sse: dying })
    network.observe('start')
    network.run(15_000)
    assert.equal(network.carrier, 'poll')
    // Cuts at different ages may have other reasons.
    assert.equal(network.carrying.isShort, !isAlike)
  }
})

test('short polls because of cuts: after a minute held polls are tried, next to the short ones', () => {
  let isCutting = true
  const network = new Network({ ...clear, ws: refused, sse: refused, poll: (step) => (isCutting ? cutPolls(900)(step) : poll()(step)) })
  network.observe('start')
  network.run(30_000)
  isCutting = false
  network.run(60_000)
  assert.equal(network.carrier, 'poll')
  assert.equal(network.carrying.isShort, false)
})

test('a stream that is cut with the fastest heartbeat is left', () => {
  const idle = (step) => (step.beat === 1 ? sse({ beatS: 60, dies: 15_000 })({}) : sse({ idle: 2600 })(step))
  const network = onSse({ sse: idle })
  network.run(60_000)
  assert.equal(network.carrier, 'poll')
  assert.ok(opens(network).some(({ transport, beat }) => transport === 'sse' && beat === 1))
})

for (const transport of ['ws', 'sse', 'poll']) {
  test(`${transport} incomplete: once changes nothing, twice within 10 minutes it is left and remembered`, () => {
    const network = new Network({ ...clear, ...(transport === 'ws' ? {} : { ws: refused }), ...(transport === 'poll' ? { sse: refused } : {}) })
    network.observe('start')
    network.run(2000)
    assert.equal(network.carrier, transport)
    network.observe('incomplete', { id: network.carrying.id })
    network.run(2000)
    assert.equal(carriedBy(network), transport)
    network.observe('incomplete', { id: network.carrying.id })
    assert.equal(opens(network).at(-1).why, `${transport}:incomplete`)
    assert.ok(network.ladder.learned[transport].until > network.now)
  })
}

test('WS incomplete twice, 11 minutes apart: nothing changes', () => {
  const network = new Network(clear)
  network.observe('start')
  network.run(1000)
  for (let time = 0; time < 3; time++) {
    network.observe('incomplete', { id: network.carrying.id })
    network.run(660_000)
  }
  assert.equal(carriedBy(network), 'ws')
})

test('WS incomplete twice: SSE carries before WS is closed', () => {
  const network = new Network(clear)
  network.observe('start')
  network.run(1000)
  for (let time = 0; time < 2; time++) network.observe('incomplete', { id: network.carrying.id })
  network.run(1000)
  assert.equal(carriedBy(network), 'ws sse')
  const [closed] = network.steps('close')
  assert.equal(closed.at, network.carried[1].at)
})

for (const why of ['bye:busy', 'bye:drain', 'bye:expired', 'unauthorized', 'rate_limited', 'too_many_connections', 'draining']) {
  test(`WS refused with ${why}: another transport may carry, but nothing is held against WS`, () => {
    const network = new Network({ ...clear, ws: () => [[20, 'ended', { why }]] })
    network.observe('start')
    network.run(5000)
    assert.equal(network.carrier, 'sse')
    assert.ok(!network.ladder.learned.ws.until)
    network.run(60_000)
    assert.ok(!network.ladder.learned.ws.until)
  })
}

test('an end that our own message caused teaches nothing: the same transport again, however often', () => {
  const network = new Network(clear)
  network.observe('start')
  network.run(1000)
  for (let time = 0; time < 10; time++) {
    network.observe('ended', { id: network.carrying.id, why: 'closed', planned: true })
    network.run(200)
    assert.equal(network.carrier, 'ws')
  }
  assert.ok(!network.ladder.learned.ws.until)
  assert.ok(!network.ladder.learned.ws.age && !network.ladder.learned.ws.beat)
})

test('after an outage the check that finds the hub is followed at once by an attempt', () => {
  for (const random of [0, 0.5, 0.99]) {
    let isDown = false
    const path = (behaviour) => (step) => (isDown ? refused(step) : behaviour(step))
    const network = new Network({ ws: path(ws()), sse: path(sse()), poll: path(poll()), check: () => (isDown ? {} : { ok: true }) }, { random: () => random })
    network.observe('start')
    network.run(6000)
    isDown = true
    network.observe('ended', { id: network.carrying.id, why: 'closed' })
    network.run(15_000)
    isDown = false
    const backAt = network.now
    network.run(21_000)
    const request = network.log.find(({ do: step, at }) => (step === 'check' || step === 'open') && at > backAt)
    // One round trip for the check, if the request is one, and three for WS.
    assert.equal(network.carried.at(-1).at - request.at, request.do === 'check' ? 80 : 60)
  }
})

test('never captive while the check finds the hub', () => {
  const network = new Network({ ...clear, ws: refused, sse: stranger, poll: stranger })
  network.observe('start')
  network.run(120_000)
  assert.ok(!network.steps('state').some(({ state }) => state === 'captive'))
})

test('memory is to be kept whenever it changed: after the carry, and when a transport fails later', () => {
  const network = new Network({ ...clear, ws: ws({ dies: 200 }) })
  let stored
  const keepsUp = () => assert.deepEqual(stored, copy(network.ladder.memory))
  for (let ms = 0; ms < 20_000; ms += 10) {
    const before = network.log.length
    if (ms === 0) network.observe('start')
    network.run(10)
    if (network.log.slice(before).some((step) => step.do === 'remember')) stored = copy(network.ladder.memory)
    if (network.ladder.memory.n1) keepsUp()
  }
  assert.ok(stored.n1.ws.until > 0)
})

test('blocked publishes: the climb begins at once, and says why', () => {
  const network = onSse()
  network.observe('blocked')
  assert.equal(opens(network).at(-1).why, 'sse:blocked')
})

test('what is suspect is printable, and so is the whole ladder', () => {
  const network = onSse()
  network.observe('mute')
  const state = copy(network.ladder)
  assert.equal(state.state, 'connected')
  assert.equal(state.attempts.attempts.find(({ id }) => id === state.attempts.carrier).suspect, 'mute')
  assert.equal(state.attempts.round.why, 'sse:mute')
  assert.ok(copy(new Ladder({ transports: ['ws'], random: Math.random })))
})
