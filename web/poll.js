/**
 * Reads frames by long polling: a chain of requests, each from where the last answer ended. Knows no
 * ladder and no address.
 */
import { foreign, framesOf, jsonText } from './frame.js'
import { membersOf } from './json.js'

/**
 * @param {object} chain
 * @param {(isPosted: boolean) => Promise<Response>} chain.ask from where it is now, with a new nonce
 * @param {() => string} chain.nonce the last one
 * @param {number} [chain.pauseMs] between an answer and the next request, where polls are short
 * @param {AbortSignal} chain.signal
 * @param {(frame: import('./frame.js').Frame) => void} hear
 */
export async function readPoll({ ask, nonce, pauseMs, signal }, hear) {
  let isPosted = false
  for (;;) {
    const answer = membersOf(await jsonText(await ask(isPosted)))
    if (answer.nonce === JSON.stringify(nonce())) {
      for (const frame of framesOf(answer)) hear(frame)
      hear({ type: 'end', id: JSON.parse(answer.cursor) })
      if (pauseMs && !answer.more) await pause(pauseMs, signal)
      continue
    }
    // An answer out of a cache has the nonce of another request. No cache answers a POST.
    if (isPosted || !answer.frames) throw foreign()
    isPosted = true
  }
}

/** @param {number} ms @param {AbortSignal} [signal] */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(clearTimeout(timer))
    const timer = setTimeout(() => resolve(signal?.removeEventListener('abort', abort)), ms)
    signal?.addEventListener('abort', abort)
  })
}
