/**
 * What is learned of one network: which transports fail on it, and when it cuts them.
 * Pure, and plain data throughout, so that it can be kept from one page to the next. Knows no ladder.
 */

/**
 * @typedef {'ws' | 'sse' | 'poll'} Transport
 * @typedef {object} Learned
 * @property {Transport} [best] the last that carried
 * @property {number} [bestAt]
 * @property {Partial<Record<Transport, {times: number, until: number}>>} down failed while another got through
 * @property {Partial<Record<Transport, number>>} beat heartbeat in seconds that outruns an idle cut
 * @property {Partial<Record<Transport, number>>} age in ms at which it is cut, whatever is sent
 * @property {Partial<Record<Transport, number>>} trial ms that it must live before it is trusted again
 * @property {number} [early] 1 where silent polls are cut
 * @property {number} [wait] seconds that a poll may be held
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
const AGE_LEAST_MS = { ws: 20_000, sse: 10_000, poll: 0 }
/** What dies so soon after its proof, in ms, or of so short an age, is being killed, not cut. */
const KILLED_PROVEN_MS = 2000
const KILLED_AGE_MS = 5000
/** A transport that was left must live so long beside the carrier, in ms, before it carries again. */
const TRIAL_LEAST_MS = 3000
const TRIAL_MOST_MS = 60_000
/** Held by the hub where nothing else was asked, in seconds. */
const WAIT_S = 25

/** @returns {Learned} */
export const nothingLearned = () => ({ down: {}, beat: {}, age: {}, trial: {} })

/**
 * Orders the tries; never forbids one.
 * @param {Transport[]} transports by preference
 * @param {Learned} learned
 * @param {number} now
 */
export function ranked(transports, { down }, now) {
  const rank = (/** @type {Transport} */ transport) => Number(now < (down[transport]?.until ?? 0))
  return [...transports].sort((one, other) => rank(one) - rank(other))
}

/** It failed where another got through, if it carried at all at this age. @param {Learned} learned @param {Transport} transport @param {number} now @param {number} [ageMs] */
export function lower(learned, transport, now, ageMs) {
  if (ageMs) learned.trial[transport] = Math.min(TRIAL_MOST_MS, Math.max(TRIAL_LEAST_MS, 2 * ageMs))
  const { times = 0, until = 0 } = learned.down[transport] ?? {}
  // Tried again while it is known to fail, it is no worse than it was.
  if (now >= until) learned.down[transport] = { times: times + 1, until: now + FADE_MS[Math.min(times, FADE_MS.length - 1)] }
  if (learned.best === transport) learned.best = undefined
}

/** It got through. @param {Learned} learned @param {Transport} transport @param {number} now */
export function risen({ down }, transport, now) {
  const fall = down[transport]
  if (fall) fall.until = now
}

/**
 * Two cuts alike name the cut.
 * @param {Learned} learned
 * @param {Transport} transport
 * @param {Life[]} lives of that transport, newest first
 * @returns {boolean} whether the transport is to be left
 */
export function learn(learned, transport, [last, before, third]) {
  if (!before) return false
  const alike = (/** @type {'idle' | 'age'} */ key) => Math.abs(last[key] - before[key]) < Math.max(ALIKE_MS, last[key] / 10)
  if (last.idle >= IDLE_LEAST_MS && last.idle > last.gap && alike('idle')) {
    if (transport !== 'poll') learned.beat[transport] = Math.max(1, Math.floor(last.idle * 0.0004))
    else if (learned.early) learned.wait = Math.max(1, Math.floor((learned.wait ?? WAIT_S) / 2))
    else learned.early = 1
    return false
  }
  if (transport === 'poll') return false
  let left = (last.proven < KILLED_PROVEN_MS && before.proven < KILLED_PROVEN_MS) || (third && [last, before, third].every(({ age }) => age < KILLED_AGE_MS))
  if (!left && alike('age')) {
    left = last.age < AGE_LEAST_MS[transport]
    if (!left) learned.age[transport] = Math.min(last.age, before.age)
    else if (transport === 'sse') learned.wait = Math.max(1, Math.floor(last.age * 0.0007))
  }
  return !!left
}
