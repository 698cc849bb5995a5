/**
 * Reads frames by long polling: a chain of requests, each from where the last answer ended. Knows
 * no ladder and no address.
 */
import { foreign, parsed } from './frame.js'

/**
 * @param {(isPosted: boolean) => Promise<Response>} ask from where it is now, with a new nonce
 * @param {() => string} nonce the last one
 * @param {(frame: import('./frame.js').Frame) => void} tell
 */
export async function readPoll(ask, nonce, tell) {
  let isPosted = false
  for (;;) {
    const answer = await parsed(await ask(isPosted))
    if (answer?.nonce === nonce()) {
      for (const frame of answer.frames) tell(frame)
      tell({ type: 'end', id: answer.cursor })
      continue
    }
    // An answer out of a cache has the nonce of another request. No cache answers a POST.
    if (isPosted || !answer?.frames) throw foreign()
    isPosted = true
  }
}
