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

/** Two cuts are alike when they differ by less than this, in ms, or by a tenth. */
const ALIKE_MS = 400
/** Idle for less than a second is no idle cut: no heartbeat could be faster. */
const IDLE_LEAST_MS = 1000
/** Cut sooner than this by age, in ms, a transport is left: it would be attached anew all the time. */
const WS_LEAST_MS = 20_000
const SSE_LEAST_MS = 10_000
/** What dies twice so soon after its proof, in ms, or three times at so short an age, is being killed, not cut. */
const KILLED_PROVEN_MS = 2000
const KILLED_AGE_MS = 5000
/** Of the time at which it would be cut: when a quiet path is given a heartbeat, and how long a poll is held. */
const BEAT_PART = 0.4
const HOLD_PART = 0.7
/** Held by the hub where nothing else was asked, in seconds. */
export const WAIT_S = 25

/** A part of a time in ms, in whole seconds. @param {number} ms @param {number} part */
const seconds = (ms, part) => Math.max(1, Math.floor((ms * part) / 1000))

/**
 * Two cuts alike name the cut.
 * @param {Transport} transport
 * @param {Known} known of it
 * @param {Known} polls what is known of polls: what cuts streams by age cuts them too
 * @param {Life[]} lives the last three of that transport, newest first
 * @returns {boolean | void} whether the transport is to be left
 */
export function learn(transport, known, polls, lives) {
  const [last, before = /** @type {Partial<Life>} */ ({})] = lives
  const alike = (/** @type {number} */ one, /** @type {any} */ other) => Math.abs(one - other) < Math.max(ALIKE_MS, one / 10)
  const isPoll = transport === 'poll'
  if (last.idle >= IDLE_LEAST_MS && last.idle > last.gap && alike(last.idle, before.idle)) {
    if (!isPoll) known.beat = seconds(last.idle, BEAT_PART)
    else if (polls.early) polls.wait = seconds(last.idle, HOLD_PART)
    else polls.early = 1
  } else if (!isPoll) {
    if (last.proven < KILLED_PROVEN_MS && /** @type {any} */ (before.proven) < KILLED_PROVEN_MS) return true
    if (lives[2] && lives.every(({ age }) => age < KILLED_AGE_MS)) return true
    if (!alike(last.age, before.age)) return
    if (last.age >= (transport === 'ws' ? WS_LEAST_MS : SSE_LEAST_MS)) known.age = Math.min(last.age, /** @type {any} */ (before.age))
    else {
      if (transport === 'sse') polls.wait = seconds(last.age, HOLD_PART)
      return true
    }
  }
}
