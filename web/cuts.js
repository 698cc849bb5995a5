/**
 * What is learned of one network, by transport: whether it fails there, and when it is cut.
 * Pure, and plain data throughout, so that it can be kept from one page to the next. Knows no ladder.
 */

/**
 * @typedef {'ws' | 'sse' | 'poll'} Transport
 * @typedef {object} Known
 * @property {number} [good] it carried here, and is taken at its word until then
 * @property {number} [until] where it is not good: it failed while another got through, and is tried last until then
 * @property {number} [fade] for so long, in ms
 * @property {number} [trial] ms that it must live before it carries again, once it has failed
 * @property {number} [cut] ms of silence, or else of age, at which it was cut the last time
 * @property {number} [beat] heartbeat in seconds that outruns an idle cut
 * @property {number} [age] in ms at which it is cut, whatever is sent
 * @property {number} [early] 1 where silent polls are cut
 * @property {number} [wait] seconds that a poll may be held
 * @typedef {Partial<Record<Transport, Known>>} Learned
 */

/** Two cuts are alike when they differ by less than this, in ms, or by a tenth. */
const ALIKE_MS = 400
/** No timer cuts so soon, in ms: what ends sooner is being killed, and a shorter silence is no reason. */
export const TIMER_LEAST_MS = 2000
/** Cut sooner than this by age, in ms, a WS or a stream is left: it would be attached anew all the time. */
const WS_LEAST_MS = 20_000
const SSE_LEAST_MS = 10_000
/** What dies twice so soon, in ms, is being killed, alike or not. */
const KILLED_MS = 5000
/** Of the time at which it would be cut: when a quiet path is given a heartbeat, and how long a poll is held. */
const BEAT_PART = 0.4
const HOLD_PART = 0.7

/** A transport that was left must live longer than before, by this, in ms, beside the carrier before it carries again. */
const TRIAL_LEAST_MS = 3000

/** A part of a time in ms, in whole seconds. @param {number} ms @param {number} part */
const seconds = (ms, part) => Math.max(1, Math.floor((ms * part) / 1000))

/**
 * Two cuts alike name the cut. Only those count that were neither made by us nor announced.
 * @param {Transport} transport
 * @param {Known} known of it
 * @param {Known} polls what is known of polls: what cuts streams by age cuts them too
 * @param {number} age ms since it was opened
 * @param {number} idle ms since anything came
 * @param {number} gap longest idle time in ms that it outlived, or that is too short to say something
 * @returns {boolean | void} whether the transport is to be left
 */
export function learn(transport, known, polls, age, idle, gap) {
  const isIdle = idle > gap
  const { cut = Infinity } = known
  const ms = (known.cut = isIdle ? idle : age)
  const isAlike = ms > TIMER_LEAST_MS && Math.abs(ms - cut) < Math.max(ALIKE_MS, ms / 10)
  if (isIdle && isAlike) {
    if (transport !== 'poll') known.beat = seconds(ms, BEAT_PART)
    else if (known.early) known.wait = seconds(ms, HOLD_PART)
    else known.early = 1
  } else if (transport !== 'poll' && Math.max(ms, cut) < (!isAlike ? KILLED_MS : transport === 'ws' ? WS_LEAST_MS : SSE_LEAST_MS)) {
    if (isAlike && transport === 'sse') polls.wait = seconds(ms, HOLD_PART)
    known.trial = TRIAL_LEAST_MS + age
    return true
  } else if (isAlike) known.age = ms
}
