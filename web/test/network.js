/**
 * A network for the ladder under a fake clock. Each transport has a behaviour: the facts that are observed of an
 * attempt, and their times. No socket and no real time, so hours pass at once.
 */
import { Adaptation } from '../adaptation.js'
import { Ladder } from '../ladder.js'

const R = 20

/** Sends its first frames, then a ping at each heartbeat, until `dies` ms after it was opened. */
const alive = (first) => ({ dies, idle, beatS = 15, silentFrom = Infinity } = {}) => (step) => {
  const beat = step.beat ?? beatS
  const start = first(beat)
  const from = start.at(-1)[0]
  let end = dies ?? Infinity
  if (idle && beat * 1000 > idle) end = Math.min(end, from + idle)
  const pings = []
  for (let at = from + beat * 1000; at < Math.min(end, silentFrom, 4 * 3_600_000); at += beat * 1000) pings.push([at, 'frame', { ping: true }])
  return [...start.filter(([at]) => at < end), ...pings, ...(end < Infinity ? [[end, 'ended', { why: 'closed' }]] : [])]
}

const hello = (at, beat) => [at, 'hello', { beat, network: 'n1', build: 'b1' }]
export const ws = alive((beat) => [hello(2 * R, beat), [3 * R, 'proof']])
export const sse = alive((beat) => [hello(2 * R, beat), [2 * R + 150, 'frame', { ping: true }]])
export const poll = ({ cut } = {}) => (step) => {
  const waitMs = step.pause === undefined ? (step.wait ?? 25) * 1000 : step.pause + R
  const answers = []
  for (let at = 2 * R; at < 3_600_000; at += waitMs) answers.push([at, 'frame'])
  const start = [hello(2 * R), [2 * R, 'proof']]
  return cut && !step.early && waitMs > cut ? [...start, [2 * R + cut, 'ended', { why: 'closed' }]] : [...start, ...answers]
}
export const refused = () => [[R, 'ended', { why: 'refused' }]]
export const mute = () => []
export const stranger = () => [[R, 'ended', { why: 'foreign', foreign: true }]]
/** Hello arrives, but the probe arrives only with the frame after its silence. */
export const held = (step) => [hello(2 * R, 15), [2 * R + 1350, 'frame', { ping: true }]]
/** The frames are held in a block until another frame fills it. */
export const together = () => [hello(900, 15), [910, 'frame', { ping: true }]]
/** Hello arrives, but the reply to its ping never does. */
export const deaf = () => [hello(2 * R, 15)]

export class Network {
  now = 0
  log = []
  /** @type {[number, number, string, any][]} */
  #coming = []

  /** @param {Record<string, any>} paths behaviours by transport, and `check` */
  constructor(paths, { transports = ['ws', 'sse', 'poll'], random = () => 0.5, memory, adaptation = new Adaptation() } = {}) {
    this.paths = paths
    this.ladder = new Ladder({ transports, random, memory, adaptation })
  }

  observe(type, fact) {
    this.#steps(this.ladder.observe(this.now, type, fact))
  }

  #steps(steps) {
    for (const step of steps) {
      this.log.push({ at: this.now, ...step })
      if (step.do === 'close') this.#coming = this.#coming.filter(([, id]) => id !== step.id)
      if (step.do === 'check') this.#check()
      if (step.do === 'open') {
        const seen = this.paths[step.transport](step, this.now)
        for (const [after, type, fact] of seen) this.#coming.push([this.now + after, step.id, type, fact])
      }
    }
  }

  /** A check. A response also measures the round trip. */
  #check() {
    const { ms = R, ...fact } = this.paths.check?.(this.now) ?? {}
    if (fact.ok) this.#coming.push([this.now + ms, -1, 'rtt', { ms }])
    this.#coming.push([this.now + ms, -1, 'checked', fact])
  }

  /** @param {number} ms */
  run(ms) {
    const end = this.now + ms
    for (;;) {
      this.#coming.sort(([one], [other]) => one - other)
      const at = Math.min(this.#coming[0]?.[0] ?? Infinity, this.ladder.wakeAt)
      if (at > end) break
      this.now = Math.max(at, this.now)
      const coming = this.#coming[0]?.[0] <= at ? this.#coming.shift() : undefined
      if (!coming) this.observe('tick')
      else {
        const [, id, type, fact] = coming
        if (type === 'ended') this.#coming = this.#coming.filter(([, other]) => other !== id)
        this.observe(type, { ...fact, ...(id > 0 && { id }) })
      }
      if (this.log.length > 20_000) throw new Error('the ladder spins')
    }
    this.now = end
    return this
  }

  /** Sleeps: nothing runs, and nothing arrives. */
  sleep(ms) {
    this.now += ms
    this.#coming = this.#coming.filter(([at]) => at > this.now)
    return this
  }

  /** Sets the page's clock back, and nothing else. @param {number} ms */
  back(ms) {
    this.now -= ms
    for (const coming of this.#coming) coming[0] -= ms
    this.observe('tick')
  }

  steps(kind) {
    return this.log.filter((step) => step.do === kind)
  }

  /** Returns the carriers, in order, as `at:transport`. */
  get carried() {
    const transports = new Map(this.steps('open').map(({ id, transport }) => [id, transport]))
    return this.steps('carry').map(({ id, at, why }) => ({ at, transport: transports.get(id), why }))
  }

  get state() {
    return this.steps('state').at(-1)?.state
  }

  /** Returns the attempt that carries now. */
  get carrying() {
    const { id } = this.steps('carry').at(-1) ?? {}
    return this.ladder.attempts.get(id)
  }

  get carrier() {
    return this.state === 'connected' ? this.carrying?.transport : undefined
  }
}
