/**
 * What is learned of one network, by transport: whether it fails there, and when it is cut.
 * Pure, and plain data throughout, so that it can be kept from one page to the next. Knows no ladder.
 */

/**
 * @typedef {'ws' | 'sse' | 'poll'} Transport
 * @typedef {object} Known
 * @property {number} [good] it carried here, and is taken at its word until then
 * @property {number} [until] it failed while another got through, and is tried last until then
 * @property {number} [times] that it failed so
 * @property {number} [trial] ms that it must live before it is trusted again
 * @property {number} [beat] heartbeat in seconds that outruns an idle cut
 * @property {number} [age] in ms at which it is cut, whatever is sent
 * @property {number} [early] 1 where silent polls are cut
 * @property {number} [wait] seconds that a poll may be held
 * @typedef {Partial<Record<Transport, Known>>} Learned
 *
 * @typedef {object} Life how a carrier ended that was neither closed by us nor told to go
 * @property {number} age ms since it was opened
 * @property {number} idle ms since anything came
 * @property {number} gap longest idle time in ms that it outlived
 * @property {number} proven ms since it was proven
 */

/** How long a failure is remembered, in ms, by how often there was one: networks change. */
const FADE_MS = [10 * 60_000, 3_600_000, 6 * 3_600_000, 24 * 3_600_000]
/** Two cuts are alike when they differ by less than this, in ms, or by a tenth. */
const ALIKE_MS = 400
/** Idle for less than a second is no idle cut: no heartbeat could be faster. */
const IDLE_LEAST_MS = 1000
/** Cut sooner than this by age, in ms, a transport is left: it would be attached anew all the time. */
const AGE_LEAST_MS = { ws: 20_000, sse: 10_000 }
/** What dies twice so soon after its proof, in ms, or three times at so short an age, is being killed, not cut. */
const KILLED_PROVEN_MS = 2000
const KILLED_AGE_MS = 5000
/** A transport that was left must live so long beside the carrier, in ms, before it carries again. */
const TRIAL_LEAST_MS = 3000
const TRIAL_MOST_MS = 60_000
/** Of the time at which it would be cut: when a quiet path is given a heartbeat, and how long a poll is held. */
const BEAT_PART = 0.4
const HOLD_PART = 0.7
/** Held by the hub where nothing else was asked, in seconds. */
export const WAIT_S = 25

/** @param {Learned} learned @param {Transport} transport @returns {Known} */
export const known = (learned, transport) => (learned[transport] ??= {})

/** A part of a time in ms, in whole seconds. @param {number} ms @param {number} part */
const seconds = (ms, part) => Math.max(1, Math.floor((ms * part) / 1000))

/** It failed where another got through, if it carried at all at this age. @param {Known} known @param {number} now @param {number} [ageMs] */
export function lower(known, now, ageMs) {
  const { times = 0, until = 0 } = known
  known.good = 0
  if (ageMs) known.trial = Math.min(TRIAL_MOST_MS, Math.max(TRIAL_LEAST_MS, 2 * ageMs))
  // Tried again while it is known to fail, it is no worse than it was.
  if (now < until) return
  known.times = times + 1
  known.until = now + FADE_MS[Math.min(times, FADE_MS.length - 1)]
}

/**
 * Two cuts alike name the cut.
 * @param {Learned} learned
 * @param {Transport} transport
 * @param {Life[]} lives of that transport, newest first
 * @returns {boolean | void} whether the transport is to be left
 */
export function learn(learned, transport, [last, before, third]) {
  if (!before) return
  const alike = (/** @type {number} */ one, /** @type {number} */ other) => Math.abs(one - other) < Math.max(ALIKE_MS, one / 10)
  const here = known(learned, transport)
  const polls = known(learned, 'poll')
  if (last.idle >= IDLE_LEAST_MS && last.idle > last.gap && alike(last.idle, before.idle)) {
    if (transport !== 'poll') here.beat = seconds(last.idle, BEAT_PART)
    else if (polls.early) polls.wait = seconds(1000 * (polls.wait ?? WAIT_S), 0.5)
    else polls.early = 1
  } else if (transport !== 'poll') {
    if (last.proven < KILLED_PROVEN_MS && before.proven < KILLED_PROVEN_MS) return true
    if (third && [last, before, third].every(({ age }) => age < KILLED_AGE_MS)) return true
    if (!alike(last.age, before.age)) return
    if (last.age >= AGE_LEAST_MS[transport]) here.age = Math.min(last.age, before.age)
    else {
      // What cuts streams by age cuts polls too.
      if (transport === 'sse') polls.wait = seconds(last.age, HOLD_PART)
      return true
    }
  }
}
