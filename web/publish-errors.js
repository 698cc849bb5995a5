/** Why a publish, or a question, is rejected, where the hub has not said it. */
import { TriwayError } from './error.js'

/** @param {number} size bytes of its data @param {number} most */
export const tooLarge = (size, most) => new TriwayError('too_large', { detail: `${size} bytes of data; this hub takes ${most}`, hint: 'Send less at once, or raise --max-data of the hub.', status: 413 })

export const queueFull = () => new TriwayError('queue_full', { hint: 'Wait for the promises of earlier publishes.' })

export const postBlocked = () => new TriwayError('post_blocked', { hint: 'The network refuses POST, and a GET has too little room.', kind: 'final' })

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
  return new TriwayError(code, { ...facts, detail, hint: facts.hint ?? `The hub could not be reached in time. It ${isSent ? 'may have acted' : 'was not sent'}.`, transport, cause: reason })
}
