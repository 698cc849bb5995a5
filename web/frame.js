/**
 * What the hub and a client say to each other, in the client's terms: frames, ids, bytes, refusals.
 * Pure: knows no wire, no clock and no handle.
 */

/**
 * A frame of the hub, or one of the marks that are added while reading: `head` (the other side
 * accepted), `end` (where a poll's answer ends) and `mute` (no reply comes).
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
 * @property {boolean} [more]
 * @property {string} [magic]
 * @property {string} [nonce]
 * @property {Session} [session]
 * @property {number} [heartbeat]
 * @property {string[]} [channels]
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
 *
 * @typedef {{id: string, key: string, expires?: number, inboxes?: string[]}} Session `inboxes` are the real names behind `@`, where tabs share
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
 * @property {number} [afterMs] not before, by the hub's word
 */

/** The word by which an answer shows that a hub made it, and not something between. */
export const MAGIC = 'triway/1'

/** What rejects: `code` is stable, `hint` says what to do. */
export class TriwayError extends Error {
  /** @type {string | undefined} */
  hint
  /** @type {number | undefined} */
  status
  /** What carried when it was refused. @type {import('./cuts.js').Transport | null | undefined} */
  transport
  /** @internal @type {number | undefined} */
  afterMs
  /** @internal what answered was not the hub @type {boolean | undefined} */
  foreign
  /** @internal what is said of it elsewhere, where that is more than the code @type {string | undefined} */
  why
  /** @internal nobody's fault @type {boolean | undefined} */
  planned
  /** @internal the hub's last word @type {any} */
  isFinal

  /**
   * @param {string} code
   * @param {Partial<Problem> & Partial<Omit<TriwayError, 'code'>>} [more]
   */
  constructor(code, more) {
    super(more?.detail ?? code)
    Object.assign(this, more)
    this.code = code
  }
}

/** What answers is not the hub. */
export const foreign = () => new TriwayError('foreign', { foreign: true })

/** The JSON of an answer. WebKit gives a body that was cut short as if it were whole; any other text is somebody's page. @param {Response} response */
export async function parsed(response) {
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    throw /^\s*([{[]|$)/.test(text) ? new TriwayError('closed') : foreign()
  }
}

/**
 * Is `id` at or below `place`, in the same epoch? Offsets are decimal texts of up to 20 digits, more
 * than a number holds exactly, so they are compared as texts.
 * @param {string} id
 * @param {string} [place]
 */
export function atOrBelow(id, place = '') {
  const [epoch, offset, placeEpoch, placeOffset] = (id + '-' + place).split('-')
  return epoch === placeEpoch && offset.padStart(20) <= placeOffset.padStart(20)
}

/** 52 bits, and no secret: no cache ever holds an answer to it. */
export const newNonce = () => String(Math.random()).slice(2)

/** The name under which a channel is asked for: events of an inbox carry its real name. @param {string} channel */
export const wireName = (channel) => (channel[0] === '@' ? '@' : channel)

/** Data as a command has it: bytes as base64. @param {any} data @returns {{data: any} | {data64: string}} */
export function withBytes(data) {
  if (!(data instanceof ArrayBuffer || ArrayBuffer.isView(data))) return { data }
  const view = /** @type {any} */ (data)
  return { data64: btoa(Array.from(new Uint8Array(view.buffer ?? view, view.byteOffset, view.byteLength), (byte) => String.fromCharCode(byte)).join('')) }
}

/**
 * One frame as JSON; or, in a binary message of a WS, its JSON, a line feed and the raw bytes.
 * @param {string | ArrayBuffer} message
 * @returns {Frame}
 */
export function parseFrame(message) {
  if (typeof message === 'string') return JSON.parse(message)
  const border = new Uint8Array(message).indexOf(10)
  return { ...JSON.parse(new TextDecoder().decode(message.slice(0, border))), data: message.slice(border + 1) }
}

/** Bytes that came as base64. @param {string} data64 */
export const bytesOf = (data64) => Uint8Array.from(atob(data64), (character) => character.charCodeAt(0)).buffer
