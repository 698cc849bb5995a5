/**
 * Single requests to the hub, as this session, with the application's token; and what a failed request
 * proves. Knows no channel, no reading position and no ladder.
 */
import { NO_HUB, TriwayError } from './error.js'
import { firstValue } from './json.js'
import { foreign, jsonText, newNonce } from './frame.js'
import { pause } from './poll.js'

/** A request hangs if no part of its answer arrives for this time, in ms. */
const ANSWER_MAX_MS = 5000
/** Characters of a body that add a ms to it. */
const BODY_CHARACTERS_PER_MS = 8
/** Pause, in ms, before a request is repeated after 502, 503 or 504: a random time up to twice as long, so that not all clients come back at once. */
const AWAY_MS = 1000
/** Time between any two requests that are repeated then, in ms. */
const TURN_MS = 1100
/** A request measures the round trip if its body and answer have fewer characters in all. */
const SMALL = 4096
/** The only request that may outlive its page: a publish would act although its answer is lost. */
const LEAVE = '[{"type":"leave"}]'

export class Requests {
  /** The hub has answered a request. */
  hasAnswered = false
  #fetch
  #session
  #onRoundTrip
  /** What fetch does with redirects. The hub sends none, and those of a captive portal do not lead to it. @type {RequestRedirect} */
  #redirect = 'manual'
  /** Requests under way. @type {Set<AbortController>} */
  #pending = new Set()
  /** Whether following a redirect led to the hub. @type {Promise<boolean> | undefined} */
  #redirectCheck
  /** When the next request may be repeated, by `performance.now()`, while a gateway cannot reach the hub; else 0. */
  #turnAt = 0
  /** Addresses or headers lost parts on the way: bodies repeat them. */
  #isInBody = false

  /**
   * @param {string} base address of the hub, with a slash at its end
   * @param {typeof globalThis.fetch} fetch
   * @param {import('./credentials.js').Credentials} credentials
   * @param {() => {key: string} | undefined} session of the requests
   * @param {(ms: number) => void} onRoundTrip the hub answered at once: a round trip
   */
  constructor(base, fetch, credentials, session, onRoundTrip) {
    this.base = base
    this.credentials = credentials
    this.#fetch = fetch
    this.#session = session
    this.#onRoundTrip = onRoundTrip
  }

  /** An address; undefined parameters are left out. @param {string} path @param {Record<string, any>} [query] @param {{key: string}} [session] */
  address(path, query, session = this.#session()) {
    return this.base + path + '?' + new URLSearchParams(JSON.parse(JSON.stringify({ session: session?.key, ...query })))
  }

  /**
   * @param {string} address
   * @param {string} nonce that the request carries, and a refusal of the hub repeats
   * @param {RequestInit} [init]
   * @returns {Promise<Response>} with a status of success
   * @throws {TriwayError}
   */
  async send(address, nonce, init) {
    const token = await this.credentials.current()
    const response = await this.#fetchWithToken(address, token, init)
    if (response.ok) {
      this.hasAnswered = true
      this.#turnAt = 0
      return response
    }
    const followed = response.status < 400 && init?.redirect !== 'follow' && (await this.#follow(address, nonce, init))
    if (followed) return followed
    const error = refusalOf(response.status, await problemOf(response), nonce, !!token)
    error.afterMs = 1000 * /** @type {any} */ (response.headers.get('retry-after')) || undefined
    if (error.code === 'unauthorized' && error.kind === 'final' && (await this.credentials.renew(token))) return this.send(address, nonce, init)
    throw error
  }

  /** Resolves when a request may be repeated: while a gateway cannot reach the hub, requests take turns. */
  async waitForTurn() {
    for (let now; (now = performance.now()) < this.#turnAt; ) await pause(this.#turnAt - now)
    this.#takeTurn()
  }

  /** The same for a request that a gateway refused. @param {number} until do not wait longer, by `performance.now()` @param {AbortSignal} signal @returns {Promise<boolean>} whether its turn came */
  async waitForTurnUntil(until, signal) {
    this.#turnAt = Math.max(this.#turnAt, performance.now() + AWAY_MS * (1 + Math.random()))
    for (let now; (now = performance.now()) < this.#turnAt; ) {
      // Others may take turns before it.
      if (now >= until) return false
      await pause(Math.min(this.#turnAt, until) - now, signal)
    }
    this.#takeTurn()
    return true
  }

  #takeTurn() {
    if (this.#turnAt) this.#turnAt = performance.now() + TURN_MS
  }

  /** @param {string} address @param {string | undefined} token @param {RequestInit} [init] */
  async #fetchWithToken(address, token, init) {
    const fetch = this.#fetch
    try {
      return await fetch(address, { cache: 'no-store', redirect: this.#redirect, headers: token ? { Authorization: 'Bearer ' + token } : {}, ...init })
    } catch (cause) {
      throw failureOf(cause)
    }
  }

  /** A new key for a token, of the current session if there is one. @param {string} token @returns {Promise<import('./frame.js').Session>} @throws {TriwayError} */
  async exchange(token) {
    const nonce = newNonce()
    const response = await this.#fetchWithToken(this.address('session', { nonce }), undefined, { method: 'POST', body: JSON.stringify({ token }) })
    if (!response.ok) throw refusalOf(response.status, await problemOf(response), nonce, true)
    return response.json()
  }

  /** Finds out once whether redirects lead to the hub; if so, they are followed from then on. @param {string} address @param {string} nonce @param {RequestInit} [init] */
  async #follow(address, nonce, init) {
    if (this.#redirect === 'follow') return
    if (this.#redirectCheck) return (await this.#redirectCheck) ? this.send(address, nonce, init) : undefined
    const followed = this.send(address, nonce, { ...init, redirect: 'follow' }).catch(() => {})
    this.#redirectCheck = followed.then((response) => !!response && !/html/.test(response.headers.get('content-type') ?? ''))
    if (!(await this.#redirectCheck)) return
    this.#redirect = 'follow'
    return followed
  }

  /**
   * A request that the hub answers at once.
   * @param {string} path
   * @param {Record<string, any>} [query]
   * @param {string} [body] posted
   * @param {number} [limitMs] after which it counts as hung
   * @returns {Promise<string>} the JSON of the answer, unchanged
   */
  async requestText(path, query, body, limitMs = ANSWER_MAX_MS + Math.ceil((body?.length ?? 0) / BODY_CHARACTERS_PER_MS)) {
    const nonce = newNonce()
    const limit = new AbortController()
    /** @type {any} */
    let timer
    // An answer that arrives slowly does not hang.
    const wait = () => {
      clearTimeout(timer)
      timer = setTimeout(() => limit.abort(new DOMException('No answer came in time', 'TimeoutError')), limitMs)
    }
    wait()
    // A request that may outlive its page is not aborted when the hub is closed.
    const keepalive = body === LEAVE
    if (!keepalive) this.#pending.add(limit)
    try {
      const posted = body && { method: 'POST', body: this.#isInBody ? await this.#withCredentials(body, nonce) : body, keepalive }
      // The wait for a token is no part of the round trip.
      await this.credentials.current()
      const sentAt = Date.now()
      const response = await this.send(this.address(path, { ...query, nonce }), nonce, { signal: limit.signal, ...posted })
      const text = await jsonText(response, wait)
      // The hub answers `healthz` whatever the token is.
      if (path !== 'healthz') this.credentials.accepted()
      if ((body?.length ?? 0) + text.length < SMALL) this.#onRoundTrip(Date.now() - sentAt)
      if (body && isAltered(text, nonce)) throw foreign('altered')
      return text
    } catch (cause) {
      throw failureOf(cause)
    } finally {
      clearTimeout(timer)
      this.#pending.delete(limit)
    }
  }

  /**
   * Sends commands of this session, which the hub performs in order.
   * @param {string} commands a JSON array
   * @returns {Promise<string>} the JSON of the replies, unchanged
   */
  async commandText(commands) {
    try {
      return await this.requestText('send', {}, commands)
    } catch (/** @type {any} */ error) {
      // The hub refused all commands, so it acted on none.
      if (error.kind !== 'altered' || this.#isInBody) throw error
      this.#isInBody = true
      return this.requestText('send', {}, commands)
    }
  }

  /** The same, parsed. @param {string} commands @returns {Promise<any>} */
  async command(commands) {
    return JSON.parse(await this.commandText(commands))
  }

  /** A body with the commands, and with what the address and the headers say. @param {string} commands @param {string} nonce */
  async #withCredentials(commands, nonce) {
    const members = JSON.stringify({ nonce, session: this.#session()?.key, token: await this.credentials.current() })
    return `${members.slice(0, -1)},"commands":${commands}}`
  }

  /** Ends the requests under way. */
  close() {
    for (const limit of this.#pending) limit.abort()
  }

  /** The same, parsed. @param {string} path @param {Record<string, any>} [query] @param {string} [body] @param {number} [limitMs] @returns {Promise<any>} */
  async request(path, query, body, limitMs) {
    return JSON.parse(await this.requestText(path, query, body, limitMs))
  }
}

/** Whether the hub refused commands because the session or the nonce was lost on the way. @param {string} text the replies @param {string} nonce */
function isAltered(text, nonce) {
  return text.includes('"ok":false') && JSON.parse(text).some((/** @type {any} */ { error }) => error && error.nonce !== nonce)
}

/** Why a request has no answer. @param {any} cause */
export function failureOf(cause) {
  if (cause instanceof TriwayError) return cause
  const isHung = cause?.name === 'TimeoutError'
  return new TriwayError(isHung ? 'timeout' : 'unreachable', { detail: isHung ? 'No answer came in time' : 'The hub cannot be reached', hint: NO_HUB, kind: isHung ? 'hung' : 'unreachable', cause })
}

/** @param {Response} response @returns {Promise<any>} */
async function problemOf(response) {
  const json = firstValue(await response.text().catch(() => ''))
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/**
 * What an answer without success proves.
 * @param {number} status
 * @param {any} problem its JSON
 * @param {string} nonce of the request
 * @param {boolean} hasToken a token was sent along
 */
function refusalOf(status, problem, nonce, hasToken) {
  // 405: a redirect turned a POST into a GET.
  const isOurs = status !== 405 && problem?.hint && problem.code
  if (!isOurs) return new TriwayError('http_' + status, { detail: 'Something other than the hub answered with status ' + status, hint: NO_HUB, status, kind: status >= 502 && status <= 504 ? 'away' : 'foreign' })
  return new TriwayError(problem.code, { ...problem, status, kind: kindOf(status, problem, nonce, hasToken) })
}

/** What a refusal of the hub proves, on any transport. @param {number} status @param {any} problem @param {string} nonce @param {boolean} hasToken @returns {import('./error.js').Kind} */
export function kindOf(status, problem, nonce, hasToken) {
  // The session ended, and another one may begin.
  if (problem.code === 'session_expired') return 'passing'
  // The hub read something other than the client sent: part of it was lost on the way.
  if (problem.nonce !== nonce || (problem.code === 'unauthorized' && hasToken && !problem.credential)) return 'altered'
  // 408, 426, 429 and errors of the hub itself may pass.
  return status >= 500 || /^4(08|26|29)$/.test(String(status)) ? 'passing' : 'final'
}
