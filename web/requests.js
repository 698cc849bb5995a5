/**
 * Single requests to the hub, as this session, with the application's token; and what an answer that is no
 * success proves. Knows nothing of channels, positions or the ladder.
 */
import { NO_HUB, TriwayError } from './error.js'
import { firstValue } from './json.js'
import { foreign, jsonText, newNonce } from './frame.js'
import { pause } from './poll.js'

/** A request of whose answer nothing comes for so long, in ms, hangs; larger bodies have a ms more for each so many characters. */
const ANSWER_MOST_MS = 5000
const BODY_CHARACTERS_PER_MS = 8
/** Least pause, in ms, before a request is repeated after 502, 503 or 504; up to twice that, or all clients would come at once. */
const AWAY_MS = 1000
/** So far apart, in ms, are all requests that are repeated then. */
const TURN_MS = 1100
/** A request whose body and answer have fewer characters in all measures the round trip. */
const SMALL = 4096
/** The one body that may outlive its page: a publish would act without an answer. */
const LEAVE = '[{"type":"leave"}]'

export class Requests {
  /** Some request was answered. */
  hasAnswered = false
  #fetch
  #session
  #measured
  /** How redirects are taken. The hub makes none, and a portal's lead nowhere. @type {RequestRedirect} */
  #redirect = 'manual'
  /** Requests under way. @type {Set<AbortController>} */
  #pending = new Set()
  /** Whether a redirect led to the hub. @type {Promise<boolean> | undefined} */
  #tried
  /** While a gateway cannot reach the hub: when the next request may be repeated, by `performance.now()`; else 0. */
  #turnAt = 0
  /** Addresses or heads lost words on their way: bodies say them, too. */
  #isBodied = false

  /**
   * @param {string} base address of the hub, with a slash at its end
   * @param {typeof globalThis.fetch} fetch
   * @param {import('./credentials.js').Credentials} credentials
   * @param {() => {key: string} | undefined} session as which requests are made
   * @param {(ms: number) => void} measured an answer came at once: a round trip
   */
  constructor(base, fetch, credentials, session, measured) {
    this.base = base
    this.credentials = credentials
    this.#fetch = fetch
    this.#session = session
    this.#measured = measured
  }

  /** An address; what is undefined is left out. @param {string} path @param {Record<string, any>} [query] @param {{key: string}} [session] */
  at(path, query, session = this.#session()) {
    return this.base + path + '?' + new URLSearchParams(JSON.parse(JSON.stringify({ session: session?.key, ...query })))
  }

  /**
   * @param {string} address
   * @param {string} nonce that the request carries, and a refusal of the hub repeats
   * @param {RequestInit} [init]
   * @returns {Promise<Response>} a success
   * @throws {TriwayError}
   */
  async send(address, nonce, init) {
    const token = await this.credentials.current()
    const response = await this.#ask(address, token, init)
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

  /** While a gateway cannot reach the hub, what is repeated takes turns. @param {AbortSignal} [signal] @param {boolean} [isAway] it was refused so */
  async turn(signal, isAway) {
    if (isAway) this.#turnAt = Math.max(this.#turnAt, performance.now() + AWAY_MS * (1 + Math.random()))
    for (let now; (now = performance.now()) < this.#turnAt; ) await pause(this.#turnAt - now, signal)
    if (this.#turnAt) this.#turnAt = performance.now() + TURN_MS
  }

  /** @param {string} address @param {string | undefined} token @param {RequestInit} [init] */
  async #ask(address, token, init) {
    const fetch = this.#fetch
    try {
      return await fetch(address, { cache: 'no-store', redirect: this.#redirect, headers: token ? { Authorization: 'Bearer ' + token } : {}, ...init })
    } catch (cause) {
      throw failureOf(cause)
    }
  }

  /** Whether redirects lead to the hub is tried once; if so, they are followed from then on. @param {string} address @param {string} nonce @param {RequestInit} [init] */
  async #follow(address, nonce, init) {
    if (this.#redirect === 'follow') return
    if (this.#tried) return (await this.#tried) ? this.send(address, nonce, init) : undefined
    const led = this.send(address, nonce, { ...init, redirect: 'follow' }).catch(() => {})
    this.#tried = led.then((response) => !!response && !/html/.test(response.headers.get('content-type') ?? ''))
    if (!(await this.#tried)) return
    this.#redirect = 'follow'
    return led
  }

  /**
   * A request that is answered at once, or hangs.
   * @param {string} path
   * @param {Record<string, any>} [query]
   * @param {string} [body] posted
   * @param {number} [mostMs] until it hangs
   * @returns {Promise<string>} the JSON of the answer, as it came
   */
  async askText(path, query, body, mostMs = ANSWER_MOST_MS + Math.ceil((body?.length ?? 0) / BODY_CHARACTERS_PER_MS)) {
    const nonce = newNonce()
    const limit = new AbortController()
    /** @type {any} */
    let timer
    // What arrives slowly does not hang.
    const wait = () => {
      clearTimeout(timer)
      timer = setTimeout(() => limit.abort(new DOMException('No answer came in time', 'TimeoutError')), mostMs)
    }
    wait()
    // What may outlive its page ends with its time alone.
    const keepalive = body === LEAVE
    if (!keepalive) this.#pending.add(limit)
    try {
      const posted = body && { method: 'POST', body: this.#isBodied ? await this.#bodied(body, nonce) : body, keepalive }
      // The wait for a token, and for much that is sent or read, says nothing of the network.
      await this.credentials.current()
      const sentAt = Date.now()
      const response = await this.send(this.at(path, { ...query, nonce }), nonce, { signal: limit.signal, ...posted })
      const text = await jsonText(response, wait)
      // Whether the hub is there, it says to everybody.
      if (path !== 'healthz') this.credentials.accepted()
      if ((body?.length ?? 0) + text.length < SMALL) this.#measured(Date.now() - sentAt)
      if (body && isUnread(text, nonce)) throw foreign('altered')
      return text
    } catch (cause) {
      throw failureOf(cause)
    } finally {
      clearTimeout(timer)
      this.#pending.delete(limit)
    }
  }

  /**
   * Commands of this session, in their order.
   * @param {string} commands a JSON array
   * @returns {Promise<string>} the JSON of the replies, as it came
   */
  async commandText(commands) {
    try {
      return await this.askText('send', {}, commands)
    } catch (/** @type {any} */ error) {
      // The hub refused all of it, so that nothing has acted.
      if (error.kind !== 'altered' || this.#isBodied) throw error
      this.#isBodied = true
      return this.askText('send', {}, commands)
    }
  }

  /** The same, parsed. @param {string} commands @returns {Promise<any>} */
  async command(commands) {
    return JSON.parse(await this.commandText(commands))
  }

  /** Commands, and beside them what the address says, too. @param {string} commands @param {string} nonce */
  async #bodied(commands, nonce) {
    const words = JSON.stringify({ nonce, session: this.#session()?.key, token: await this.credentials.current() })
    return `${words.slice(0, -1)},"commands":${commands}}`
  }

  /** Ends the requests under way. */
  close() {
    for (const limit of this.#pending) limit.abort()
  }

  /** The same, parsed. @param {string} path @param {Record<string, any>} [query] @param {string} [body] @param {number} [mostMs] @returns {Promise<any>} */
  async ask(path, query, body, mostMs) {
    return JSON.parse(await this.askText(path, query, body, mostMs))
  }
}

/** Whether commands were refused that were not understood as ours: the session or the nonce was lost. @param {string} text the replies @param {string} nonce */
function isUnread(text, nonce) {
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
 * What an answer that is no success proves.
 * @param {number} status
 * @param {any} problem its JSON
 * @param {string} nonce of the request
 * @param {boolean} hasToken a token was sent along
 */
function refusalOf(status, problem, nonce, hasToken) {
  // A POST that a redirect made a GET is not to be heard of.
  const isOurs = status !== 405 && problem?.hint && problem.code
  if (!isOurs) return new TriwayError('http_' + status, { detail: 'Something other than the hub answered with status ' + status, hint: NO_HUB, status, kind: status >= 502 && status <= 504 ? 'away' : 'foreign' })
  return new TriwayError(problem.code, { ...problem, status, kind: kindOf(status, problem, nonce, hasToken) })
}

/** What a refusal of the hub proves, by whichever transport it came. @param {number} status @param {any} problem @param {string} nonce @param {boolean} hasToken @returns {import('./error.js').Kind} */
export function kindOf(status, problem, nonce, hasToken) {
  // The session ended, and another one may begin.
  if (problem.code === 'session_expired') return 'passing'
  // It read other words than ours: part of them was lost on the way.
  if (problem.nonce !== nonce || (problem.code === 'unauthorized' && hasToken && !problem.credential)) return 'altered'
  // 408, 426 and 429 may end, as may what is the hub's own fault.
  return status >= 500 || /^4(08|26|29)$/.test(String(status)) ? 'passing' : 'final'
}

