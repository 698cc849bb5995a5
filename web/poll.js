/**
 * Reads frames by long polling: a chain of requests, each from where the last answer ended. Knows no ladder
 * and no address.
 */
import { foreign, framesOf, jsonText } from './frame.js'
import { membersOf } from './json.js'

/**
 * @param {object} chain
 * @param {(isPosted: boolean) => Promise<Response>} chain.request from the current cursor, with a new nonce
 * @param {() => string} chain.nonce of the last request
 * @param {number} [chain.pauseMs] between an answer and the next request; only short polls have it
 * @param {AbortSignal} chain.signal
 * @param {(frame: import('./frame.js').Frame) => void} onFrame
 */
export async function readPoll({ request, nonce, pauseMs, signal }, onFrame) {
  let isPosted = false
  for (;;) {
    const answer = membersOf(await jsonText(await request(isPosted)))
    if (answer.nonce === JSON.stringify(nonce())) {
      for (const frame of framesOf(answer)) onFrame(frame)
      onFrame({ type: 'end', id: JSON.parse(answer.cursor) })
      if (pauseMs && !answer.more) await pause(pauseMs, signal)
      continue
    }
    // An answer from a cache has the nonce of another request. No cache answers a POST.
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
