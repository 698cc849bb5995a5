/** The application's token: the one place that holds its current value, which each request reads. */
import { TriwayError } from './error.js'
import { isToken, TOKEN } from './options.js'

/** Longest wait for the `token` function, in ms; after that its failure is reported. */
const TOKEN_MAX_MS = 2500
/** A longer token, in characters, is exchanged for a session key: proxies accept 4 to 8 KB of head in all. */
const HEADER_TOKEN_MAX = 2000
/** First and longest pause before a failed `token` function is called again, in ms. */
const RETRY_FIRST_MS = 500
const RETRY_MAX_MS = 30_000

export class Credentials {
  #token
  #report
  /** The current token, or the call that will return it. @type {Promise<string | undefined> | undefined} */
  #pending
  /** The current token was requested because the hub refused the one before it. */
  #isRenewed = false
  #failures = 0
  /** The call that failed last. @type {Promise<string | undefined> | undefined} */
  #failedBy
  /** Its error. @type {TriwayError | undefined} */
  #failure

  #exchange
  /** The token that was exchanged last, and the exchange. */
  #exchanged = ''
  /** @type {Promise<void> | undefined} */
  #exchanging

  /**
   * @param {string | (() => string | Promise<string>) | undefined} token
   * @param {(error: TriwayError) => void} report
   * @param {(token: string) => Promise<void>} exchange gets a session key for a token; from then on requests carry the key
   */
  constructor(token, report, exchange) {
    this.#token = token
    this.#report = report
    this.#exchange = exchange
  }

  /**
   * The token that a request carries; `undefined` if the application gave none, or if it was exchanged.
   * @returns {Promise<string | undefined>}
   * @throws {TriwayError} `token`, if the application's function failed or takes too long
   */
  async current() {
    const token = await this.token()
    if (!token || token.length <= HEADER_TOKEN_MAX) return token
    if (this.#exchanged !== token) this.#exchanging = this.#exchange((this.#exchanged = token))
    return this.#exchanging?.then(
      () => undefined,
      (error) => {
        this.#exchanged = ''
        throw error
      },
    )
  }

  /** The application's token. @returns {Promise<string | undefined>} @throws {TriwayError} `token` */
  async token() {
    const pending = (this.#pending ??= this.#requestToken())
    /** @type {any} */
    let timer
    const late = new Promise((_, reject) => (timer = setTimeout(reject, TOKEN_MAX_MS, new Error(`has not settled within ${TOKEN_MAX_MS / 1000} s`))))
    try {
      const token = await Promise.race([pending, late])
      this.#failures = 0
      return token
    } catch (cause) {
      // The next request calls it again; a token that comes late is used all the same.
      if (this.#pending === pending) this.#pending = undefined
      pending.then((token) => (this.#pending ??= Promise.resolve(token))).catch(() => {})
      // All requests that waited for this call share one failure.
      if (this.#failedBy !== pending) this.#failure = this.#failed(cause)
      this.#failedBy = pending
      throw this.#failure
    } finally {
      clearTimeout(timer)
    }
  }

  async #requestToken() {
    try {
      if (typeof this.#token !== 'function') return this.#token
      const token = await this.#token()
      // Without this check, an application that forgot to return the token would connect as another user. The error does not contain the token.
      if (!isToken(token)) throw new Error(`returned ${typeof token === 'string' ? (token ? 'a text that is no token' : 'an empty text') : token === null ? token : typeof token}`)
      return token
    } catch (error) {
      this.#pending = undefined
      throw error
    }
  }

  /** @param {any} cause */
  #failed(cause) {
    const afterMs = Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_MAX_MS)
    const detail = `\`token\` failed: ${cause?.message ?? cause}`
    const error = new TriwayError('token', { detail, hint: `The function must return ${TOKEN}, or a promise of it, within ${TOKEN_MAX_MS / 1000} s. Without a token, leave the option out.`, cause, kind: 'token', afterMs, isPlanned: true })
    this.#report(error)
    return error
  }

  /**
   * A token was refused or has expired.
   * @param {string | undefined} used the refused one
   * @returns {Promise<boolean>} whether a request with another token may succeed
   */
  async renew(used) {
    const current = await this.#pending?.catch(() => undefined)
    if (used === current) {
      if (typeof this.#token !== 'function' || this.#isRenewed) return false
      this.#pending = undefined
    }
    return (this.#isRenewed = true)
  }

  /** Whether another token can be requested. */
  get isRenewable() {
    return typeof this.#token === 'function'
  }

  /** The next request requests another token. */
  forget() {
    this.#pending = undefined
  }

  /** The key of the last exchange is no longer accepted. */
  forgetExchange() {
    this.#exchanged = ''
  }

  /** The hub accepted the current token. */
  accepted() {
    this.#isRenewed = false
  }
}
