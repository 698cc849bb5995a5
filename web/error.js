/** The one error of the client. Knows no transport and no request. */

/**
 * A refusal as the hub writes it (RFC 9457, with a stable `code`).
 * @typedef {object} Problem
 * @property {string} code
 * @property {string} [title]
 * @property {string} [detail]
 * @property {string} [hint]
 * @property {number} [status]
 * @property {number} [expected] the number of a key that the hub expects next
 * @property {string} [nonce] of the request that was refused
 * @property {string} [credential] where the hub found a credential
 * @property {{channel: string, error: Problem}[]} [refused] each channel with its refusal
 */

/**
 * What a failure proves. `final`: the hub read the request and refused it. `passing`: the hub refuses for now.
 * `altered`: the hub received something other than the client sent. `foreign`: something else answered.
 * `away`: a gateway cannot reach the hub. `unreachable`: no answer. `hung`: no answer in time. `token`: the
 * application's `token` failed.
 * @typedef {'final' | 'passing' | 'altered' | 'foreign' | 'away' | 'unreachable' | 'hung' | 'token'} Kind
 */

/** An error with a stable `code`, and a `hint` on what to do. */
export class TriwayError extends Error {
  /** @type {string | undefined} */
  hint
  /** HTTP status, if there is one. @type {number | undefined} */
  status
  /** The transport that carried when it happened. @type {import('./rungs.js').Transport | null | undefined} */
  transport
  /** @internal @type {Kind | undefined} */
  kind
  /** @internal The hub asked for a pause of this time, in ms. @type {number | undefined} */
  afterMs
  /** @internal Its name in reasons, if that differs from the code. @type {string | undefined} */
  why
  /** @internal The end was announced: the network is not at fault. @type {boolean | undefined} */
  isPlanned
  /** @internal Where the hub found a credential. @type {string | undefined} */
  credential
  /** @internal The close code of a bye. @type {number | undefined} */
  closeCode
  /** @internal @type {number | undefined} */
  expected
  /** @internal @type {{channel: string, error: Problem}[] | undefined} */
  refused

  /**
   * @param {string} code
   * @param {Partial<Problem> & {[member: string]: any}} [more]
   */
  constructor(code, { detail, ...more } = {}) {
    super(detail ?? more.hint ?? code)
    this.name = 'TriwayError'
    Object.assign(this, more)
    this.code = code
  }
}

/** The hint if no hub answers. */
export const NO_HUB = 'Check that a hub runs at the address given to `connect`, its port and path, and the network.'

/** The error if a handle or hub is used after its end. @param {string} what */
export const closed = (what) => new TriwayError('closed', { detail: `This ${what} was closed`, hint: `Open another ${what}.` })

/** An error as a line for the console. @param {TriwayError} error @param {string} [where] */
export const consoleText = ({ message, code, hint }, where = '') => `triway: ${where}${message} (${code})${hint ? '. ' + hint : ''}`
