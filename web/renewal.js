/**
 * When the session and its credential are renewed: ahead of their end, by another attachment next to the current
 * one, so that nothing pauses. Knows no attachment.
 */

/** Time after a hello, in ms, after which another one is requested to renew the session key. The key expires after an hour at most, so there is time to try twice. */
const RENEW_MS = 25 * 60_000
/** Shortest time between two renewals, in ms. */
const RENEW_MIN_MS = 1000
/** The part of its lifetime after which a credential is renewed, and the least time that must be left, in ms. */
const RENEW_PART = 0.75
const LEAD_MS = 1000
/** Longest wait for a renewed session, in ms. */
const WAIT_MAX_MS = 5000

export class Renewal {
  #credentials
  #reopen
  #at = 0
  #begunAt = -Infinity
  /** @type {any} */
  #timer
  /** @type {(() => void)[]} */
  #waiters = []

  /**
   * @param {import('./credentials.js').Credentials} credentials
   * @param {() => boolean} reopen attaches again; returns whether it could
   */
  constructor(credentials, reopen) {
    this.#credentials = credentials
    this.#reopen = reopen
  }

  /** A hello arrived. @param {number} [leftS] seconds until the session key and its credential end, by the hub's clock */
  observeHello(leftS) {
    const leftMs = 1000 * (leftS ?? Infinity)
    // A token that cannot be requested again is used until it ends.
    const dueMs = this.#credentials.isRenewable ? Math.min(RENEW_PART * leftMs, leftMs - LEAD_MS) : RENEW_MS
    this.#plan(Math.min(Math.max(dueMs, RENEW_MIN_MS), RENEW_MS))
  }

  /** Timers of a hidden page may be late: each frame looks, too. */
  onFrame() {
    if (this.#at && Date.now() > this.#at) this.begin()
  }

  /** Requests another token, and attaches again. */
  begin() {
    const now = performance.now()
    if (now >= this.#begunAt + RENEW_MIN_MS) this.#credentials.forget()
    this.#begunAt = now
    this.#plan(this.#reopen() ? RENEW_MS : RENEW_MIN_MS)
  }

  /** Resolves when a session made after this call carries, or after a while; the caller then requests again. @returns {Promise<void>} */
  async whenRenewed() {
    const renewed = new Promise((resolve) => {
      const timer = setTimeout(resolve, WAIT_MAX_MS)
      this.#waiters.push(() => resolve(clearTimeout(timer)))
    })
    this.begin()
    await renewed
  }

  /** Another session carries. */
  resolve() {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  end() {
    clearTimeout(this.#timer)
    this.#at = 0
    this.resolve()
  }

  /** @param {number} ms */
  #plan(ms) {
    clearTimeout(this.#timer)
    this.#at = Date.now() + ms
    this.#timer = setTimeout(() => this.begin(), ms)
  }
}
