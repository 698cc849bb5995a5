/**
 * Requests to the hub, as this session, with the application's token. Knows nothing of channels,
 * places or the ladder.
 */
import { parsed, TriwayError } from './frame.js'

/** @typedef {ReturnType<typeof newAsking>} Asking */

/** A request without an answer for so long, in ms, hangs. */
const ANSWER_MOST_MS = 5000
/** Refused again so soon, in ms, after another token was asked for, it is no matter of age. */
const TOKEN_LEAST_MS = 10_000
/** Characters of a body that may outlive its page: a browser keeps 64 KiB for all of them. */
const KEEP_MOST = 1000

/**
 * @param {string} base address of the hub, with a slash at its end
 * @param {import('./client.js').Options} options
 * @param {() => {key: string} | undefined} session as which requests are made
 * @param {(sentAt: number) => void} measured an answer came at once: a round trip
 */
export function newAsking(base, { token, fetch = globalThis.fetch }, session, measured) {
  /** What was given as a token last. @type {Promise<string | undefined> | undefined} */
  let given
  /** Not before is another one asked for. */
  let askAt = 0

  /** @param {string} path @param {Record<string, any>} [more] of the query; what is undefined is left out @param {{key: string}} [as] */
  function at(path, more, as = session()) {
    return `${base}${path}?${new URLSearchParams(JSON.parse(JSON.stringify({ session: as?.key, ...more })))}`
  }

  /** The token: asked for once, and again when it was refused or has expired. */
  function bearer() {
    given ??= (async () => (typeof token === 'function' ? token() : token))().catch((error) => {
      given = undefined
      throw new TriwayError('token', { detail: String(error) })
    })
    return given
  }

  /** A token was refused. @param {Promise<any> | undefined} [used] it, where it may be an old one @returns {boolean} whether there may be a better one */
  function renew(used = given) {
    const now = Date.now()
    if (used === given) {
      if (now < askAt) return false
      askAt = now + TOKEN_LEAST_MS
      given = undefined
    }
    return true
  }

  /** @param {string} address @param {RequestInit} [init] @returns {Promise<Response>} that is ok */
  async function answered(address, init) {
    const used = bearer()
    const token = await used
    const response = await fetch(address, {
      cache: 'no-store',
      // The hub redirects nobody: a portal does, to a page that leads nowhere.
      redirect: 'manual',
      headers: token ? { Authorization: 'Bearer ' + token } : {},
      ...init,
    })
    const { ok, status } = response
    if (ok) return response
    // Only our own problem JSON is believed; anything else was said by something between the hub and
    // us. A gateway that cannot reach the hub is no stranger, though.
    const problem = await response.json().catch(() => {})
    const isOurs = problem?.hint
    if (isOurs && problem.code === 'unauthorized' && renew(used)) return answered(address, init)
    throw new TriwayError(isOurs ? problem.code : 'http_' + status, {
      ...(isOurs && problem),
      status,
      afterMs: 1000 * Number(response.headers.get('retry-after')) || undefined,
      // The word of a proxy may change, that of the hub is final.
      isFinal: isOurs && status < 500 && status !== 429,
      foreign: !isOurs && (status < 502 || status > 504),
    })
  }

  /**
   * A request that is answered at once, or hangs. What is short is sent even where the page ends.
   * @param {string} path @param {Record<string, any>} [more] of the query @param {string} [body] posted
   * @returns {Promise<any>}
   */
  async function ask(path, more, body) {
    const sentAt = Date.now()
    const signal = AbortSignal.timeout(ANSWER_MOST_MS)
    const answer = await parsed(await answered(at(path, more), { signal, ...(body && { method: 'POST', body, keepalive: body.length < KEEP_MOST }) }))
    measured(sentAt)
    return answer
  }

  return { at, bearer, renew, answered, ask }
}
