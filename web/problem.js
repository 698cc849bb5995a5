/** Errors and replies, as one tab sends them to another. Pure. */

/** The members of an error, or of a problem of the hub, that tabs send. @param {any} error */
export const problemOf = ({ code, message, detail = message, hint, status, refused }) => ({ code, detail, hint, status, refused })

/** The reply to a publish of another tab. If its time there is not over, that tab must send it again. @param {any} error @param {number} deadline */
export function replyOf(error, deadline) {
  const mayPass = error.code === 'unreachable' || (error.kind ?? 'final') !== 'final'
  return { ...problemOf(error), ...(mayPass && deadline > performance.now() && { status: 503 }) }
}
