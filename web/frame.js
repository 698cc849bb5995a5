/**
 * What the hub and a client say to each other, in the client's terms: frames, ids, bytes, refusals.
 * Pure: knows no wire, no clock and no handle.
 */

/**
 * A frame of the hub, or one of the two marks that a reader adds: `head` (the other side accepted:
 * WS open, stream head, poll answered) and `cursor` (where a poll's answer ends).
 * @typedef {object} Frame
 * @property {string} type
 * @property {string} [id]
 * @property {string} [channel]
 * @property {any} [data]
 * @property {string} [data64]
 * @property {string} [name]
 * @property {string} [from]
 * @property {number} [time]
 * @property {string} [after]
 * @property {string} [reason]
 * @property {string} [magic]
 * @property {string} [nonce]
 * @property {{id: string, key: string, expires?: number}} [session]
 * @property {number} [heartbeat]
 * @property {string} [network]
 * @property {string} [build]
 * @property {number} [ref]
 * @property {boolean} [ok]
 * @property {Problem} [error]
 * @property {number} [code]
 * @property {boolean} [reconnect]
 * @property {number} [after_ms]
 * @property {number} [count]
 * @property {any[]} [members]
 * @property {any} [reached]
 */

/**
 * A refusal as the hub writes it (RFC 9457, with a stable `code`).
 * @typedef {object} Problem
 * @property {string} code
 * @property {string} [title]
 * @property {string} [detail]
 * @property {string} [hint]
 * @property {number} [status]
 * @property {number} [expected]
 */

/** The word by which an answer shows that a hub made it, and not something between. */
export const MAGIC = 'triway/1'

let lastRef = 0
/** A `ref` of which no other command of this page has the like. */
export const nextRef = () => ++lastRef

/** What rejects: `code` is stable, `hint` says what to do. */
export class TriwayError extends Error {
  /** @type {string | undefined} */
  hint
  /** @type {number | undefined} */
  status
  /** @type {import('./cuts.js').Transport | null | undefined} */
  transport
  /** @internal not before, by the hub's word @type {number | undefined} */
  afterMs
  /** @internal what answered was not the hub @type {boolean | undefined} */
  foreign

  /** @param {string} code @param {object} [more] */
  constructor(code, more) {
    const { detail = code } = /** @type {Partial<Problem>} */ (more ?? {})
    super(detail)
    Object.assign(this, more)
    this.code = code
  }
}

/**
 * What a refused HTTP answer means. Only our own problem JSON is believed; anything else was said
 * by something between the hub and us. A gateway that cannot reach the hub is no stranger, though.
 * @param {Response} response
 */
export async function refused(response) {
  const { status } = response
  const problem = await response.json().catch(() => {})
  if (!problem?.hint) return new TriwayError('http_' + status, { status, foreign: status < 502 || status > 504 })
  return new TriwayError(problem.code, { ...problem, status, afterMs: 1000 * Number(response.headers.get('retry-after')) })
}

/** What answers is not the hub. */
export const foreign = () => new TriwayError('foreign', { foreign: true })

/**
 * Is `id` at or below `place`, in the same epoch? Offsets are decimal texts of up to 20 digits, more
 * than a number holds exactly, so they are compared as texts.
 * @param {string} id
 * @param {string} [place]
 */
export function atOrBelow(id, place = '') {
  const [epoch, offset] = id.split('-')
  const [placeEpoch, placeOffset] = place.split('-')
  return epoch === placeEpoch && offset.padStart(20) <= placeOffset.padStart(20)
}

/** @param {Uint8Array} bytes */
export const toBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))

/**
 * The bytes in `data`, or nothing when it is to be sent as JSON.
 * @param {any} data
 * @returns {Uint8Array | undefined}
 */
export function bytesOf(data) {
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

/** @param {Frame} frame whose bytes, if it has any, came as base64 */
export function withBytes(frame) {
  if (frame.data64 != null) frame.data = Uint8Array.from(atob(frame.data64), (character) => character.charCodeAt(0)).buffer
  return frame
}

/**
 * One frame as JSON; or, in a binary message, its JSON, a line feed and raw bytes: so bytes travel on WS without base64.
 * @param {string | ArrayBuffer} message
 */
export function parseFrame(message) {
  if (typeof message === 'string') return withBytes(JSON.parse(message))
  const border = new Uint8Array(message).indexOf(10)
  return { ...JSON.parse(new TextDecoder().decode(message.slice(0, border))), data: message.slice(border + 1) }
}
