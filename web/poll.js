/**
 * Reads frames by long polling: a chain of requests, each from where the last answer ended. Knows
 * no ladder and no address.
 */
import { foreign, parsed, TriwayError } from './frame.js'

/**
 * @param {() => Promise<Response>} ask from where it is now, with a new nonce
 * @param {() => string} nonce the last one
 * @param {(frame: import('./frame.js').Frame) => void} tell
 */
export async function readPoll(ask, nonce, tell) {
  for (;;) {
    const answer = await parsed(await ask())
    // An answer out of a cache has the nonce of another request.
    if (answer?.nonce !== nonce()) throw answer?.frames ? new TriwayError('cached') : foreign()
    for (const frame of answer.frames) tell(frame)
    tell({ type: 'end', id: answer.cursor })
  }
}
