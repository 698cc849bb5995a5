/**
 * Reads frames by long polling: a chain of requests, each from where the last answer ended. Knows no
 * ladder and no address.
 */
import { foreign, framesOf, jsonText } from './frame.js'
import { membersOf } from './json.js'

/** A gateway that cannot reach the hub is asked again so many times, so far apart, in ms. */
const AWAY_TIMES = 8
const AWAY_MS = 1000

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
  let isProven = false
  for (;;) {
    const posted = isPosted
    const answer = membersOf(await patient(() => ask(posted).then(jsonText), isProven, signal))
    if (answer.nonce === JSON.stringify(nonce())) {
      for (const frame of framesOf(answer)) hear(frame)
      hear({ type: 'end', id: JSON.parse(answer.cursor) })
      isProven = true
      if (pauseMs && !answer.more) await pause(pauseMs, signal)
      continue
    }
    // An answer out of a cache has the nonce of another request. No cache answers a POST.
    if (isPosted || !answer.frames) throw foreign()
    isPosted = true
  }
}

/**
 * A gateway may not reach the hub for a moment: a chain that was answered before asks again.
 * @param {() => Promise<string>} ask
 * @param {boolean} isProven
 * @param {AbortSignal} signal
 */
async function patient(ask, isProven, signal) {
  for (let times = 0; ; times++) {
    try {
      return await ask()
    } catch (/** @type {any} */ error) {
      if (error.kind !== 'away' || !isProven || times >= AWAY_TIMES) throw error
      await pause(AWAY_MS, signal)
    }
  }
}

/** @param {number} ms @param {AbortSignal} signal */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => reject(clearTimeout(timer)), { once: true })
  })
}
