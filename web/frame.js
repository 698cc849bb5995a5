/**
 * Frames and ids, as the hub sends them. Pure: knows no transport, no clock and no handle.
 */
import { bytesOf } from './data.js'
import { NO_HUB, TriwayError } from './error.js'
import { elementsOf, firstValue, membersOf } from './json.js'

/**
 * A frame of the hub, or one of the marks that an attachment adds: `head` (the hub accepted the request), `end`
 * (a poll's answer ends), `mute` (no reply arrives) and `incomplete` (frames are missing).
 * @typedef {object} Frame
 * @property {string} type
 * @property {string} [json] the text of the frame
 * @property {string} [id]
 * @property {string} [channel]
 * @property {any} [data]
 * @property {string} [data64]
 * @property {string} [name]
 * @property {string} [from]
 * @property {number} [time] ms since 1970, by the hub's clock
 * @property {string} [after]
 * @property {string} [reason]
 * @property {boolean} [more]
 * @property {string} [magic]
 * @property {string} [nonce]
 * @property {Session} [session]
 * @property {number} [heartbeat] seconds
 * @property {string[] | {channel: string, error: import('./error.js').Problem}[]} [channels] read, or refused
 * @property {Record<string, string>} [places]
 * @property {boolean} [behind] nothing is replayed: missed events are read as history
 * @property {Limits} [limits]
 * @property {string} [network]
 * @property {string} [build]
 * @property {boolean} [ok]
 * @property {import('./error.js').Problem} [error]
 * @property {number} [code]
 * @property {boolean} [reconnect]
 * @property {number} [after_ms]
 * @property {number} [count] of members; in a ping, of the frames that were sent
 * @property {any[]} [members]
 * @property {any} [reached]
 * @property {Frame[]} [frames]
 * @property {string} [cursor]
 *
 * @typedef {{id: string, key: string, user?: string, expires?: number, expires_in?: number, inboxes?: string[]}} Session `inboxes`: the channels behind `@`
 * @typedef {{data: number, message: number, body: number, commands: number, address: number, info: number, channels: number}} Limits
 *   of one event's data, a WebSocket message, a body of `/send`, its commands, the address of a publishing GET, `info`, channels
 */

/** Shows that an answer comes from a hub, and not from something on the way. */
export const MAGIC = 'triway/1'

/** The error if something other than the hub answered. */
export const foreign = (kind = 'foreign') => new TriwayError('foreign', { detail: 'Something other than the hub answered', hint: NO_HUB, kind })

/** The first complete JSON value of an answer, as text: a proxy may append to it. @param {Response} response @param {() => void} [onPiece] part of it arrived */
export async function jsonText(response, onPiece) {
  const text = onPiece ? await textOf(response, onPiece) : await response.text()
  const json = firstValue(text)
  if (json) return json
  // WebKit returns a body that was cut short as if it were complete. Any other text is a page of something else.
  throw /^\s*([{[]|$)/.test(text) ? new TriwayError('closed', { detail: 'The answer was cut short', hint: NO_HUB, kind: 'unreachable' }) : foreign()
}

/** The same as `text()`, and calls back for each part that arrives. @param {Response} response @param {() => void} onPiece */
async function textOf(response, onPiece) {
  const reader = response.body?.getReader()
  if (!reader) return response.text()
  const decoder = new TextDecoder()
  for (let text = ''; ; ) {
    const { done, value } = await reader.read()
    onPiece()
    text += decoder.decode(value, { stream: !done })
    if (done) return text
  }
}

/** @param {Response} response */
export const parsed = async (response) => parse(await jsonText(response))

/** @param {string} json */
function parse(json) {
  try {
    return JSON.parse(json)
  } catch {
    throw foreign()
  }
}

/**
 * One frame as JSON; or, in a binary message of a WebSocket, its JSON, a line feed and the raw bytes.
 * @param {string | ArrayBuffer} message
 * @returns {Frame}
 */
export function parseFrame(message) {
  if (typeof message !== 'string') {
    const border = new Uint8Array(message).indexOf(10)
    return { ...parse(new TextDecoder().decode(message.slice(0, border))), data: message.slice(border + 1) }
  }
  const json = firstValue(message)
  const frame = parse(json)
  if (frame.data64 != null) frame.data = bytesOf(frame.data64)
  return { ...frame, json }
}

/** The frames of an answer, each with its own text. @param {Record<string, string>} members of the answer */
export const framesOf = ({ frames = '[]' }) => elementsOf(frames).map(parseFrame)

/** The data of an event, as its text. @param {string} json of the frame */
export const dataText = (json) => membersOf(json).data

/**
 * Whether `id` is at or below `place`, in the same epoch. Offsets have up to 20 decimal digits, more than a
 * number holds exactly, so they are compared as text.
 * @param {string} id
 * @param {string} [place]
 */
export function atOrBelow(id, place = '') {
  const [epoch, offset, placeEpoch, placeOffset] = (id + '-' + place).split('-')
  return epoch === placeEpoch && offset.padStart(20) <= placeOffset.padStart(20)
}

/** 52 random bits, so that no cache holds an answer to it. It is no secret. */
export const newNonce = () => String(Math.random()).slice(2)

/** The name under which a channel is read: all inboxes are read as `@`, and their events carry the real names. @param {string} channel */
export const wireName = (channel) => (channel[0] === '@' ? '@' : channel)
