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
 * @property {string | number} [expected]
 */

/** The word by which an answer shows that a hub made it, and not something between. */
export const MAGIC = 'triway/1'

let lastRef = 0
/** A `ref` of which no other command of this page has the like. */
export const nextRef = () => ++lastRef

/** What rejects: `code` is stable, `hint` says what to do. */
export class TriwayError extends Error {
  /**
   * @param {string} code
   * @param {string} text
   * @param {{hint?: string, status?: number, transport?: string | null, retryAfterMs?: number, foreign?: boolean, bye?: Frame}} [more]
   */
  constructor(code, text, more = {}) {
    super(text)
    this.name = 'TriwayError'
    this.code = code
    this.hint = more.hint
    this.status = more.status
    this.transport = more.transport ?? null
    /** @internal */
    this.retryAfterMs = more.retryAfterMs
    /** @internal true when what answered was not the hub */
    this.foreign = more.foreign
  }
}

/** @param {Problem} problem @param {object} [more] */
export const refusal = (problem, more) =>
  new TriwayError(problem.code, problem.detail || problem.title || problem.code, { hint: problem.hint, status: problem.status, ...more })

/**
 * What a refused HTTP answer means. Only our own problem JSON is believed; anything else was said
 * by something between the hub and us (`foreign`).
 * @param {Response} response
 */
export async function refused(response) {
  let problem
  try {
    problem = JSON.parse(await response.text())
  } catch {
    // Not JSON, or cut off: not the hub's words.
  }
  const retryAfterMs = 1000 * Number(response.headers.get('retry-after')) || undefined
  if (problem?.code && problem.hint) return refusal({ ...problem, status: response.status }, { retryAfterMs })
  // A gateway that cannot reach the hub is an outage, not a stranger.
  const foreign = response.status < 502 || response.status > 504
  return new TriwayError(foreign ? 'foreign' : 'unreachable', 'answered ' + response.status, { status: response.status, retryAfterMs, foreign })
}

/**
 * Is `id` at or below `place`, in the same epoch? Offsets are decimal texts of up to 20 digits, more
 * than a number holds exactly, so they are compared as texts.
 * @param {string} id
 * @param {string | undefined} place
 */
export function atOrBelow(id, place) {
  if (!place) return false
  const [epoch, offset] = id.split('-')
  const [placeEpoch, placeOffset] = place.split('-')
  return epoch === placeEpoch && (offset.length - placeOffset.length || (offset > placeOffset ? 1 : -Number(offset < placeOffset))) <= 0
}

/** @param {string} text base64 @returns {ArrayBuffer} */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer
}

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return btoa(text)
}

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
  if (frame.data64 != null) frame.data = fromBase64(frame.data64)
  return frame
}

/** @param {string} text one frame as JSON */
export const parseFrame = (text) => withBytes(JSON.parse(text))
