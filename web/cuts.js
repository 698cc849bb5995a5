/**
 * What cuts teach: two cuts that are alike show the kind of cut, and the kind has a remedy. Pure. Gets how a
 * carrier ended, and changes what is known of its transport. Knows no ladder.
 */

/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./memory.js').Known} Known */

/**
 * @typedef {object} Life how a carrier ended that neither side meant to close
 * @property {number} ageMs since it was opened
 * @property {number} idleMs since anything arrived
 * @property {number} gapMs longest idle time that it survived
 * @property {number} provenMs since it was proven
 *
 * @typedef {object} Lesson
 * @property {'killed' | 'idle' | 'age'} [cause] the cut, if two were alike
 * @property {boolean} [isLeft] the transport should be left
 * @property {boolean} [isShort] polls should be short
 */

/** Two cuts are alike when they differ by less than this, in ms, or by a tenth. */
const ALIKE_MS = 400
/** Shorter idle times, in ms, are not prevented by a heartbeat or a hold in whole seconds. */
const IDLE_MIN_MS = 1000
/** A poll that was cut sooner than this, in ms, was hardly held at all. */
const HELD_MIN_MS = 300
/** A transport that is cut by age sooner than this, in ms, is left: it would reconnect all the time. */
const WS_MIN_MS = 20_000
const SSE_MIN_MS = 10_000
/** Something kills a carrier that ends twice within this time after its proof, in ms, */
const KILLED_PROVEN_MS = 2000
/** or three times before this age, in ms. */
const KILLED_AGE_MS = 5000
/** Part of the idle time of a cut after which a heartbeat is sent. */
const BEAT_PART = 0.4
/** Part of the time of a cut for which a poll is held. */
const HOLD_PART = 0.7
/** The fastest heartbeat and the shortest hold, in seconds. */
const SECONDS_MIN = 1
/** Lives kept of each transport. */
const LIVES_MAX = 3

/** A part of a time in ms, in whole seconds. @param {number} ms @param {number} part */
const secondsOf = (ms, part) => Math.max(SECONDS_MIN, Math.floor((ms * part) / 1000))

/** @param {number} one @param {number} other */
const isAlike = (one, other) => Math.abs(one - other) < Math.max(ALIKE_MS, one / 10)

export class Cuts {
  /** Of each transport, newest first. @type {Partial<Record<Transport, Life[]>>} */
  lives = {}

  /** Forgets the lives: their ends were no cuts. */
  reset() {
    this.lives = {}
  }

  /**
   * Learns from the end of a carrier.
   * @param {Transport} transport
   * @param {Life} life
   * @param {(transport: Transport) => Known} known of each transport; changed in place
   * @returns {Lesson}
   */
  learn(transport, life, known) {
    const lives = [life, ...(this.lives[transport] ?? [])].slice(0, LIVES_MAX)
    this.lives[transport] = lives
    return transport === 'poll' ? learnOfPolls(lives, known('poll')) : learnOfStreams(transport, lives, known)
  }
}

/** @param {Life[]} lives */
const areIdleCuts = ([last, before]) => !!before && last.idleMs > last.gapMs && isAlike(last.idleMs, before.idleMs)

/** First the head is sent early, then the hold is shortened, then polls are not held at all. @param {Life[]} lives @param {Known} polls @returns {Lesson} */
function learnOfPolls(lives, polls) {
  const { idleMs } = lives[0]
  if (!areIdleCuts(lives) || idleMs < HELD_MIN_MS) return {}
  if (idleMs < IDLE_MIN_MS || (polls.early && polls.wait === SECONDS_MIN)) return { cause: 'idle', isShort: true }
  if (polls.early) polls.wait = secondsOf(idleMs, HOLD_PART)
  else polls.early = 1
  return { cause: 'idle' }
}

/**
 * @param {Transport} transport
 * @param {Life[]} lives
 * @param {(transport: Transport) => Known} known
 * @returns {Lesson}
 */
function learnOfStreams(transport, lives, known) {
  const [last, before] = lives
  const it = known(transport)
  const areIdle = areIdleCuts(lives)
  if (areIdle && last.idleMs >= IDLE_MIN_MS) {
    // No heartbeat is faster than the one that did not help.
    if (it.beat === SECONDS_MIN) return { cause: 'idle', isLeft: true }
    it.beat = secondsOf(last.idleMs, BEAT_PART)
    return { cause: 'idle' }
  }
  // A network that cuts an idle stream before any heartbeat cuts held polls, too. A browser may hide that, since it repeats such requests by itself.
  const isShort = areIdle && transport === 'sse' && last.idleMs >= HELD_MIN_MS && !isAlike(last.ageMs, before.ageMs)
  if (isKilled(lives)) return { cause: 'killed', isLeft: true, isShort }
  if (!before || !isAlike(last.ageMs, before.ageMs)) return {}
  if (last.ageMs < (transport === 'ws' ? WS_MIN_MS : SSE_MIN_MS)) {
    // A network that cuts streams by age cuts held polls, too.
    if (transport === 'sse') known('poll').wait = secondsOf(last.ageMs, HOLD_PART)
    return { cause: 'age', isLeft: true }
  }
  it.age = Math.min(last.ageMs, before.ageMs)
  return { cause: 'age' }
}

/** @param {Life[]} lives */
function isKilled(lives) {
  const [last, before] = lives
  if (before && last.provenMs < KILLED_PROVEN_MS && before.provenMs < KILLED_PROVEN_MS) return true
  return lives.length === LIVES_MAX && lives.every(({ ageMs }) => ageMs < KILLED_AGE_MS)
}
