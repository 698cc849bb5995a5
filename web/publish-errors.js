/** Why a publish, or a question, is rejected by the client itself. */
import { NO_HUB, TriwayError } from './error.js'
import { failureOf } from './requests.js'

/** @param {number} size bytes of its data @param {number} most */
export const tooLarge = (size, most) => new TriwayError('too_large', { detail: `${size} bytes of data; this hub takes ${most}`, hint: 'Send less at once, or raise --max-data of the hub.', status: 413 })

export const queueFull = () => new TriwayError('queue_full', { detail: 'Too many publishes wait', hint: 'Wait for the promises of earlier publishes.' })

export const postBlocked = () => new TriwayError('post_blocked', { detail: 'The network refuses POST, and a GET has too little room', hint: 'Send less at once.', kind: 'final' })

/** No hub answers at this address; or the refusal, if one did. @param {TriwayError | undefined} problem why, if anything answered @param {string} base */
export function hubUnavailable(problem = failureOf(new DOMException('', 'TimeoutError')), base) {
  if (problem.code !== 'not_found' && /^(final|passing|altered)$/.test(problem.kind ?? 'final')) return problem
  return new TriwayError(problem.code, { ...problem, detail: `No hub answers at ${base}: ${problem.message}`, hint: NO_HUB, cause: problem })
}

/**
 * It was not answered in time.
 * @param {any} reason why the last request failed
 * @param {number} timeoutMs
 * @param {import('./rungs.js').Transport | null} transport
 * @param {boolean} isSent the hub may have acted on it
 */
export function expired(reason, timeoutMs, transport, isSent) {
  const { code = 'unreachable', ...facts } = reason ?? {}
  const detail = `Not answered within ${timeoutMs / 1000} s: ${reason?.message ?? 'no connection'}`
  return new TriwayError(code, { ...facts, detail, hint: `It ${isSent ? 'may have acted' : 'was not sent'}. ${facts.hint ?? NO_HUB}`, transport, cause: reason })
}
