/**
 * The ladder under random facts and random networks: invariants that must always hold. The runs have seeds, so that
 * a failure can be reproduced.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Adaptation } from '../adaptation.js'
import { CAUSES } from '../causes.js'
import { Ladder } from '../ladder.js'
import { causeOf, isPassing } from '../rungs.js'
import { seeded, VirtualNetwork } from './support/virtual-network.js'

const INTERNAL = ['', 'start', 'online', 'up', 'asked', 'channels', 'pagehide', 'age']
const WHYS = [
  ...CAUSES, 'bye:slow', 'bye:silent', 'bye:drain', 'bye:expired', 'bye:busy', 'bye:gap', 'bye:undefined', 'bye:limit', 'http_403', 'http_502', 'http_undefined',
  'unauthorized', 'forbidden', 'rate_limited', 'too_many_connections', 'session_expired', 'draining', 'token', 'bad_cursor', 'toString', '__proto__', 'constructor', '<script>', 'ws:slow', '',
]
const COUNT = Number(process.env.LADDER_RUNS ?? 300)

/** A ladder that observes random facts. The state of its attempts is derived from its steps alone. */
class Chaos {
  now = 1_000_000
  open = new Map()
  carrier
  starvedUntil = 0

  constructor(seed) {
    this.random = seeded(seed)
    const transports = this.pick([['ws', 'sse', 'poll'], ['ws', 'sse', 'poll'], ['sse', 'poll'], ['ws'], ['poll', 'ws'], ['poll']])
    // The adaptation part may be there from the start, come later, or never come.
    this.adaptation = this.chance(0.5) ? new Adaptation() : undefined
    this.ladder = new Ladder({ transports, random: this.random, memory: {}, adaptation: this.adaptation })
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)]
  }

  chance(part) {
    return this.random() < part
  }

  /** Observes the next fact: a tick of the timer, or something about an attempt or the page. */
  next() {
    const { ladder } = this
    const waitMs = Math.max(0, ladder.wakeAt - this.now)
    if (this.chance(0.4)) {
      this.now += waitMs === Infinity ? 1000 : waitMs + (this.chance(0.1) ? this.random() * 100_000 : 0)
      return ['tick']
    }
    this.now += Math.min(waitMs, this.random() ** 3 * 3000)
    if (this.chance(0.01)) this.now += (this.random() - 0.5) * 7_200_000
    return this.open.size && this.chance(0.8) ? this.ofAttempt(this.pick([...this.open.keys()])) : this.ofPage()
  }

  ofAttempt(id) {
    const type = this.pick(['hello', 'hello', 'hello', 'frame', 'frame', 'frame', 'frame', 'proof', 'proof', 'ended', 'incomplete'])
    const facts = {
      hello: () => ({ beat: this.pick([0, 1, 15]), network: this.pick(['n1', 'n1', 'n1', 'n2', undefined]), build: this.pick(['b1', 'b1', 'b2']), probes: this.chance(0.7) }),
      frame: () => ({ ping: this.chance(0.4), event: this.chance(0.4), time: this.chance(0.7) ? this.now - this.random() * 3000 : undefined }),
      proof: () => (this.chance(0.5) ? { ms: this.random() * 4000 } : {}),
      ended: () => ({ why: this.pick(WHYS), planned: this.chance(0.2), foreign: this.chance(0.2), ...(this.chance(0.2) && { afterMs: this.random() * 5000 }) }),
      incomplete: () => ({}),
    }
    return [type, { id, ...facts[type]() }]
  }

  ofPage() {
    const type = this.pick(['start', 'rtt', 'use', 'reopen', 'mute', 'starved', 'checked', 'checked', 'offline', 'online', 'hidden', 'visible', 'pause', 'blocked'])
    if (type === 'rtt') return [type, { ms: this.random() * 1000 }]
    if (type === 'use') return [type, { transport: this.pick(['ws', 'sse', 'poll', 'auto']) }]
    if (type === 'checked') return [type, this.pick([{ ok: true, ms: 30 }, {}, { foreign: true }])]
    return [type]
  }

  step() {
    if (!this.adaptation && this.chance(0.01)) this.ladder.observe(this.now, 'adapt', { adaptation: (this.adaptation = new Adaptation()) }).forEach((one) => this.check(one))
    const [type, fact] = this.next()
    const ended = type === 'ended' ? this.open.get(fact.id) : undefined
    const before = ended && this.ladder.learned[ended]?.times
    const { network } = this.ladder.attempts.memory
    const wasOnWs = this.open.get(this.carrier) === 'ws'
    const steps = this.ladder.observe(this.now, type, fact)
    if (type === 'ended' && fact.id === this.carrier) this.carrier = undefined
    if (type === 'starved' && !wasOnWs && this.ladder.attempts.preference.allowed.includes('poll')) this.starvedUntil = this.ladder.now + 60_000
    // Held polls may be tried again on another network, or when the application chooses them.
    if (type === 'use' || this.ladder.attempts.memory.network !== network) this.starvedUntil = 0
    for (const one of steps) this.check(one)
    if (type === 'ended') this.open.delete(fact.id)
    const isFlapping = steps.some((one) => one.do === 'carry') && this.ladder.attempts.climb?.changes.length === 6
    if (ended && !isFlapping && (fact.planned || isPassing(causeOf(fact.why)))) assert.equal(this.ladder.learned[ended]?.times, before, 'a planned end taught something')
    assert.ok(this.ladder.wakeAt > this.now || this.ladder.wakeAt === Infinity, `a moment to wake that has passed: ${this.ladder.wakeAt - this.now} ${JSON.stringify([type, fact])}`)
    assert.ok(this.open.size || this.ladder.wakeAt < Infinity, 'nothing under way, and no moment to wake')
    assert.equal(this.ladder.state === 'connected', this.carrier !== undefined)
    JSON.stringify(this.ladder)
  }

  check(one) {
    if (one.why !== undefined && one.do !== 'failed') this.checkWhy(one.why)
    if (one.do === 'open') {
      assert.ok(!this.open.has(one.id))
      this.open.set(one.id, one.transport)
      if (this.ladder.now < this.starvedUntil && this.ladder.learned.poll?.shortUntil > this.ladder.now && one.transport === 'poll') assert.equal(one.pause, 1000)
      if (one.pause !== undefined) assert.deepEqual([one.transport, one.wait], ['poll', 0])
    }
    if (one.do === 'close') {
      assert.ok(this.open.delete(one.id), 'closes what is open')
      if (this.carrier === one.id) this.carrier = undefined
    }
    if (one.do === 'carry') {
      assert.ok(this.open.has(one.id), 'carries what is open')
      this.carrier = one.id
    }
    if (one.do === 'failed') assert.ok(CAUSES.includes(one.why), one.why)
  }

  checkWhy(why) {
    const [transport, cause, ...rest] = why.split(':')
    if (!why.includes(':')) return assert.ok(INTERNAL.includes(why), why)
    assert.ok(['ws', 'sse', 'poll'].includes(transport) && CAUSES.includes(cause) && !rest.length, why)
  }
}

test(`${COUNT} sequences of random facts: each reason is from the list, and no step is about what is over`, () => {
  for (let seed = 1; seed <= COUNT; seed++) {
    const chaos = new Chaos(seed)
    try {
      chaos.ladder.observe(chaos.now, 'start').forEach((one) => chaos.check(one))
      for (let count = 0; count < 400; count++) chaos.step()
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`
      throw error
    }
  }
})

test('any reason of an end has a cause from the list', () => {
  for (const why of [...WHYS, undefined]) assert.ok(CAUSES.includes(causeOf(why)), String(why))
  assert.deepEqual(['bye:slow', 'bye:silent', 'http_403', 'unauthorized', 'rate_limited', 'draining', 'forbidden', 'silent', undefined].map(causeOf), ['gone', 'gone', 'http', 'expired', 'busy', 'drain', 'error', 'silent', 'closed'])
})

const BEHAVIOURS = { ws: ['ok', 'refused', 'swallowed', 'lag-one', 'deaf', 'no-probe'], sse: ['ok', 'refused', 'held', 'body-held', 'lag-one'], poll: ['ok'] }

test('random networks, as long as polls pass: usable, and in the end on the best transport that passes single frames', () => {
  for (let seed = 1; seed <= COUNT; seed++) {
    const random = seeded(seed)
    const pick = (list) => list[Math.floor(random() * list.length)]
    const path = { rtt: 5 + random() * 500, jitter: random() * 0.2, tls: random() < 0.5, http2: random() < 0.5, warm: random() < 0.5, ws: pick(BEHAVIOURS.ws), sse: pick(BEHAVIOURS.sse) }
    const page = new VirtualNetwork(new Ladder({ transports: ['ws', 'sse', 'poll'], random, adaptation: new Adaptation() }), random, path)
    page.observe('start')
    page.run(60_000)
    const best = path.ws === 'ok' ? 'ws' : path.sse === 'ok' ? 'sse' : 'poll'
    assert.equal(page.carried.at(-1)?.transport, best, `seed ${seed}: ${JSON.stringify(path)} ${JSON.stringify(page.carried)}`)
    assert.ok(page.carried[0].at < 12_000)
    assert.equal(page.ladder.learned[best].until, 0)
  }
})

test('random networks that change: always back within the pauses, and never more than three attempts at once', () => {
  for (let seed = 1; seed <= COUNT / 3; seed++) {
    const random = seeded(seed)
    const pick = (list) => list[Math.floor(random() * list.length)]
    const page = new VirtualNetwork(new Ladder({ transports: ['ws', 'sse', 'poll'], random, adaptation: new Adaptation() }), random, { rtt: 5 + random() * 300 })
    page.observe('start')
    for (let change = 0; change < 20; change++) {
      Object.assign(page.path, { ws: pick(BEHAVIOURS.ws), sse: pick(BEHAVIOURS.sse), rtt: 5 + random() * 300 })
      page.run(random() * 20_000)
      for (const id of [...page.senders.keys()]) page.senders.get(id)({ type: 'event', time: 1_000_000 + page.now })
      if (random() < 0.5 && page.carried.length) page.observe('ended', { id: page.carried.at(-1).id, why: 'closed' })
      if (random() < 0.1) page.observe('starved')
      assert.ok(page.ladder.attempts.size <= 4, `seed ${seed}`)
    }
    Object.assign(page.path, { ws: 'ok', sse: 'ok', rtt: 20 })
    page.run(60_000)
    assert.equal(page.ladder.state, 'connected', `seed ${seed}`)
    page.run(7_200_000)
    assert.equal(page.carried.at(-1).transport, 'ws', `seed ${seed}`)
  }
})
