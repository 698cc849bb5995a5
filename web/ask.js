/**
 * Requests to the hub, as this session, with the application's token. Knows nothing of channels,
 * places or the ladder.
 */
import { parsed, TriwayError } from './frame.js'

/** @typedef {ReturnType<typeof newAsking>} Asking */

/** A request without an answer for so long, in ms, hangs. */
const ANSWER_MOST_MS = 5000
/** Characters of a body that may outlive its page: those of `leave`, but of no publish, which would act without an answer. */
const KEEP_MOST = 20

/**
 * @param {string} base address of the hub, with a slash at its end
 * @param {import('./client.js').Options} options
 * @param {() => {key: string} | undefined} session as which requests are made
 * @param {(sentAt: number) => void} measured an answer came at once: a round trip
 */
export function newAsking(base, { token, fetch: request = fetch }, session, measured) {
  /** A redirect was seen; and how they are taken. The hub makes none, and a portal's lead nowhere. */
  let wasRedirected = false
  /** @type {RequestRedirect} */
  let redirect = 'manual'
  /** What was given as a token last. @type {Promise<string | undefined> | undefined} */
  let given
  const asking = {
    /** The last token was asked for because the one before it was refused. */
    isRenewed: false,
    at,
    bearer,
    renew,
    answered,
    ask,
  }

  /** @param {string} path @param {Record<string, any>} [more] of the query; what is undefined is left out @param {{key: string}} [as] */
  function at(path, more, as = session()) {
    return base + path + '?' + new URLSearchParams(JSON.parse(JSON.stringify({ session: as?.key, ...more })))
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
    if (used === given) {
      if (typeof token !== 'function' || asking.isRenewed) return false
      given = undefined
    }
    return (asking.isRenewed = true)
  }

  /** @param {string} address @param {RequestInit} [init] @returns {Promise<Response>} that is ok */
  async function answered(address, init) {
    const used = bearer()
    const token = await used
    const response = await request(address, {
      cache: 'no-store',
      redirect,
      headers: token ? { Authorization: 'Bearer ' + token } : {},
      ...init,
    })
    const { status } = response
    if (response.ok) {
      asking.isRenewed = false
      return response
    }
    // Only the first is followed, and the others where that one led to the hub.
    if (response.status < 400 && !wasRedirected) {
      wasRedirected = true
      redirect = 'follow'
      const led = await answered(address, init).catch(() => {})
      if (led && !/html/.test(led.headers.get('content-type') ?? '')) return led
      redirect = 'manual'
    }
    // Only our own problem JSON is believed; anything else was said by something between the hub and
    // us. A gateway that cannot reach the hub is no stranger, though.
    const problem = await response.json().catch(() => {})
    // A POST that a redirect made a GET is not to be heard of, either.
    const isOurs = status !== 405 && problem?.hint
    if (isOurs && problem.code === 'unauthorized' && renew(used)) return answered(address, init)
    throw new TriwayError(isOurs ? problem.code : 'http_' + status, {
      ...(isOurs && problem),
      status,
      afterMs: 1000 * /** @type {any} */ (response.headers.get('retry-after')) || undefined,
      // The word of a proxy may change, that of the hub is final; but 426 and 429 may end.
      isFinal: isOurs && /^4(?!2[69])/.test(/** @type {any} */ (status)),
      foreign: !isOurs && (status < 502 || status > 504),
    })
  }

  /**
   * A request that is answered at once, or hangs.
   * @param {string} path @param {Record<string, any>} [more] of the query @param {string} [body] posted @param {number} [mostMs] until it hangs
   * @returns {Promise<any>}
   */
  async function ask(path, more, body, mostMs = ANSWER_MOST_MS) {
    const sentAt = Date.now()
    const signal = AbortSignal.timeout(mostMs)
    const answer = await parsed(await answered(at(path, more), { signal, ...(body && { method: 'POST', body, keepalive: body.length < KEEP_MOST }) }))
    measured(sentAt)
    return answer
  }

  return asking
}
