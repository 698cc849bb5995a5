/**
 * Requests to the hub, as this session, with the application's token. Knows nothing of channels,
 * places or the ladder.
 */
import { parsed, refused, TriwayError } from './frame.js'

/** @typedef {ReturnType<typeof newAsking>} Asking */

/**
 * @param {string} base address of the hub, with a slash at its end
 * @param {import('./client.js').Options} options
 * @param {(sentAt: number) => void} measured an answer came at once: a round trip
 */
export function newAsking(base, { token, fetch = globalThis.fetch }, measured) {
  /** A redirect was seen; and how they are taken. The hub makes none, and a portal's lead nowhere. */
  let wasRedirected = false
  /** @type {RequestRedirect} */
  let redirect = 'manual'
  /** What was given as a token last. @type {Promise<string | undefined> | undefined} */
  let given

  const asking = {
    /** As which requests are made. @type {import('./frame.js').Session | undefined} */
    session: undefined,
    /** The last token was asked for because the one before it was refused. */
    isRenewed: false,
    at,
    bearer,
    renew,
    answered,
    ask,
  }

  /** @param {string} path @param {Record<string, any>} [more] of the query; what is undefined is left out @param {{key: string}} [as] */
  function at(path, more, as = asking.session) {
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
    if (typeof token !== 'function' || (used === given && asking.isRenewed)) return false
    if (used === given) given = undefined
    return (asking.isRenewed = true)
  }

  /** @param {string} address @param {RequestInit} [init] @returns {Promise<Response>} that is ok */
  async function answered(address, init) {
    const used = bearer()
    const token = await used
    const response = await fetch(address, {
      cache: 'no-store',
      redirect,
      headers: token ? { Authorization: 'Bearer ' + token } : {},
      ...init,
    })
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
    const error = await refused(response)
    if (error.code !== 'unauthorized' || !renew(used)) throw error
    return answered(address, init)
  }

  /** @param {string} address @param {RequestInit} [init] @returns {Promise<any>} */
  async function ask(address, init) {
    const sentAt = Date.now()
    const answer = await parsed(await answered(address, init))
    measured(sentAt)
    return answer
  }

  return asking
}
