/** Why a publish, or a question, is rejected, where the hub has not said it. */
import { NO_HUB, TriwayError } from './error.js'
import { failureOf } from './requests.js'

/** @param {number} size bytes of its data @param {number} most */
export const tooLarge = (size, most) => new TriwayError('too_large', { detail: `${size} bytes of data; this hub takes ${most}`, hint: 'Send less at once, or raise --max-data of the hub.', status: 413 })

export const queueFull = () => new TriwayError('queue_full', { detail: 'Too many publishes wait', hint: 'Wait for the promises of earlier publishes.' })

export const postBlocked = () => new TriwayError('post_blocked', { detail: 'The network refuses POST, and a GET has too little room', hint: 'Send less at once.', kind: 'final' })

/** No hub answers at this address; unless one did, and refused. @param {TriwayError | undefined} problem why, where anything was answered @param {string} base */
export function absent(problem = failureOf(new DOMException('', 'TimeoutError')), base) {
  if (problem.code !== 'not_found' && /^(final|passing|altered)$/.test(problem.kind ?? 'final')) return problem
  return new TriwayError(problem.code, { ...problem, detail: `No hub answers at ${base}: ${problem.message}`, hint: NO_HUB, cause: problem })
}

/**
 * It waited for as long as it may.
 * @param {any} reason why the last request failed
 * @param {number} timeoutMs
 * @param {import('./cuts.js').Transport | null} transport
 * @param {boolean} isSent it may have acted
 */
export function expired(reason, timeoutMs, transport, isSent) {
  const { code = 'unreachable', ...facts } = reason ?? {}
  const detail = `Not answered within ${timeoutMs / 1000} s: ${reason?.message ?? 'no connection'}`
  return new TriwayError(code, { ...facts, detail, hint: `It ${isSent ? 'may have acted' : 'was not sent'}. ${facts.hint ?? NO_HUB}`, transport, cause: reason })
}
