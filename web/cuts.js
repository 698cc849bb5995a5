/**
 * What lifetimes teach: two cuts that are alike name the cut, and the cut names the remedy.
 * Pure. Knows no ladder: it is given how a carrier ended, and changes what is known of the transport.
 */

/**
 * @typedef {'ws' | 'sse' | 'poll'} Transport
 * @typedef {object} Known what is known of one transport on one network; plain data
 * @property {number} [good] it carried here; until this time its hello is proof enough
 * @property {number} [until] it failed while another transport got through; until this time it is tried last
 * @property {number} [times] how often it failed so
 * @property {number} [trial] ms that it must live next to the carrier before it takes over
 * @property {number} [beat] heartbeat in seconds that prevents an idle cut
 * @property {number} [age] in ms at which it is cut, whatever is sent
 * @property {number} [early] 1 where silent polls are cut
 * @property {number} [wait] seconds that a poll may be held
 * @property {number} [shortUntil] until this time polls are short
 * @property {number} [shortTimes] how often they had to be
 * @typedef {Partial<Record<Transport, Known>>} Learned
 *
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
/** Idle for less than this, in ms, is no idle cut for a heartbeat or a wait in whole seconds. */
const IDLE_LEAST_MS = 1000
/** A poll that was cut after a shorter time, in ms, was hardly held at all. */
const HELD_LEAST_MS = 300
/** Cut by age sooner than this, in ms, a transport is left: it would reconnect all the time. */
const WS_LEAST_MS = 20_000
const SSE_LEAST_MS = 10_000
/** A carrier that dies twice so soon after its proof, in ms, or three times at so young an age, is being killed. */
const KILLED_PROVEN_MS = 2000
const KILLED_AGE_MS = 5000
/** Of the time at which a connection is cut: when a quiet one gets a heartbeat, and how long a poll is held. */
const BEAT_PART = 0.4
const HOLD_PART = 0.7
/** The fastest heartbeat and the shortest hold, in seconds. */
const SECONDS_LEAST = 1
/** Lives kept of each transport. */
const LIVES_MOST = 3
/** Seconds for which the hub holds a poll unless asked otherwise. */
export const WAIT_S = 25

/** A part of a time in ms, in whole seconds. @param {number} ms @param {number} part */
const secondsOf = (ms, part) => Math.max(SECONDS_LEAST, Math.floor((ms * part) / 1000))

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
    const lives = [life, ...(this.lives[transport] ?? [])].slice(0, LIVES_MOST)
    this.lives[transport] = lives
    return transport === 'poll' ? learnOfPolls(lives, known('poll')) : learnOfStreams(transport, lives, known)
  }
}

/** @param {Life[]} lives */
const areIdleCuts = ([last, before]) => !!before && last.idleMs > last.gapMs && isAlike(last.idleMs, before.idleMs)

/** First the head is sent early, then the hold is shortened, then polls are not held at all. @param {Life[]} lives @param {Known} polls @returns {Lesson} */
function learnOfPolls(lives, polls) {
  const { idleMs } = lives[0]
  if (!areIdleCuts(lives) || idleMs < HELD_LEAST_MS) return {}
  if (idleMs < IDLE_LEAST_MS || (polls.early && polls.wait === SECONDS_LEAST)) return { cause: 'idle', isShort: true }
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
  if (areIdle && last.idleMs >= IDLE_LEAST_MS) {
    // No heartbeat is faster than the one that did not help.
    if (it.beat === SECONDS_LEAST) return { cause: 'idle', isLeft: true }
    it.beat = secondsOf(last.idleMs, BEAT_PART)
    return { cause: 'idle' }
  }
  // What cuts an idle stream sooner than any heartbeat comes cuts held polls too. A browser may ask for those again by itself, and hide it.
  const isShort = areIdle && transport === 'sse' && last.idleMs >= HELD_LEAST_MS && !isAlike(last.ageMs, before.ageMs)
  if (isKilled(lives)) return { cause: 'killed', isLeft: true, isShort }
  if (!before || !isAlike(last.ageMs, before.ageMs)) return {}
  if (last.ageMs < (transport === 'ws' ? WS_LEAST_MS : SSE_LEAST_MS)) {
    // What cuts streams by age cuts held polls too.
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
  return lives.length === LIVES_MOST && lives.every(({ ageMs }) => ageMs < KILLED_AGE_MS)
}
