/** The application's token: one current value in one place, read at each request. */
import { TriwayError } from './error.js'
import { isToken, TOKEN } from './options.js'

/** An application is told when its `token` function has not settled by then, in ms. */
const TOKEN_MOST_MS = 2500
/** First and longest time until it is asked again after it failed, in ms. */
const RETRY_FIRST_MS = 500
const RETRY_MOST_MS = 30_000

export class Credentials {
  #token
  #report
  /** What was given last, or is awaited. @type {Promise<string | undefined> | undefined} */
  #given
  /** The current token was asked for because the one before it was refused. */
  #isRenewed = false
  #failures = 0
  /** The call that failed last, and its error. @type {Promise<string | undefined> | undefined} */
  #failedBy
  /** @type {TriwayError | undefined} */
  #failure

  /**
   * @param {string | (() => string | Promise<string>) | undefined} token
   * @param {(error: TriwayError) => void} report
   */
  constructor(token, report) {
    this.#token = token
    this.#report = report
  }

  /**
   * The token, `undefined` where the application gave none.
   * @returns {Promise<string | undefined>}
   * @throws {TriwayError} `token`, where the application's function failed or takes too long
   */
  async current() {
    const given = (this.#given ??= this.#ask())
    /** @type {any} */
    let timer
    const late = new Promise((_, reject) => (timer = setTimeout(reject, TOKEN_MOST_MS, new Error(`has not settled within ${TOKEN_MOST_MS / 1000} s`))))
    try {
      const token = await Promise.race([given, late])
      this.#failures = 0
      return token
    } catch (cause) {
      // It is asked again; an answer that comes late counts all the same.
      if (this.#given === given) this.#given = undefined
      given.then((token) => (this.#given ??= Promise.resolve(token))).catch(() => {})
      // Requests that waited for one call fail together, once.
      if (this.#failedBy !== given) this.#failure = this.#failed(cause)
      this.#failedBy = given
      throw this.#failure
    } finally {
      clearTimeout(timer)
    }
  }

  async #ask() {
    try {
      if (typeof this.#token !== 'function') return this.#token
      const token = await this.#token()
      // Without this word, an application that forgot to return it would be somebody else to the hub. The token itself stays out of the error.
      if (!isToken(token)) throw new Error(`returned ${typeof token === 'string' ? (token ? 'a text that is no token' : 'an empty text') : token === null ? token : typeof token}`)
      return token
    } catch (error) {
      this.#given = undefined
      throw error
    }
  }

  /** @param {any} cause */
  #failed(cause) {
    const afterMs = Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_MOST_MS)
    const detail = `\`token\` failed: ${cause?.message ?? cause}`
    const error = new TriwayError('token', { detail, hint: `The function must return ${TOKEN}, or a promise of it, within ${TOKEN_MOST_MS / 1000} s. Without a token, leave the option out.`, cause, kind: 'token', afterMs, isPlanned: true })
    this.#report(error)
    return error
  }

  /**
   * A token was refused or has expired.
   * @param {string | undefined} used the refused one
   * @returns {Promise<boolean>} whether there may be a better one
   */
  async renew(used) {
    const current = await this.#given?.catch(() => undefined)
    if (used === current) {
      if (typeof this.#token !== 'function' || this.#isRenewed) return false
      this.#given = undefined
    }
    return (this.#isRenewed = true)
  }

  /** The hub accepted the current token. */
  accepted() {
    this.#isRenewed = false
  }
}
