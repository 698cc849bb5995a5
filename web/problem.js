/** Errors and replies as one tab tells them to another. Pure. */

/** What is left between two tabs of an error, or of a problem as the hub sent it. @param {any} error */
export const problemOf = ({ code, message, detail = message, hint, status, refused }) => ({ code, detail, hint, status, refused })

/** A publish that waits longer in its own tab than in this one is to be sent again. @param {any} error @param {number} deadline */
export function replyOf(error, deadline) {
  const mayPass = error.code === 'unreachable' || (error.kind ?? 'final') !== 'final'
  return { ...problemOf(error), ...(mayPass && deadline > performance.now() && { status: 503 }) }
}
