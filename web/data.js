/**
 * What an application publishes, as a command has it. What JSON would turn into something else without a
 * word is refused, or sent as bytes. Pure, apart from reading a Blob.
 */
import { TriwayError } from './error.js'

/** Objects that JSON writes as what they are, by their tag; all others say how by `toJSON`, or are refused. */
const PLAIN = ['Object', 'Array', 'String', 'Number', 'Boolean', 'Arguments', 'Date']

/** Its kind, in any realm, such as `Map` or `ArrayBuffer`. @param {unknown} value */
const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1)

/** @param {unknown} value @returns {value is ArrayBuffer | ArrayBufferView} */
const isBuffer = (value) => ArrayBuffer.isView(value) || /^(Shared)?ArrayBuffer$/.test(tagOf(value))

/** @param {unknown} value @returns {value is Blob} */
const isBlob = (value) => /^(Blob|File)$/.test(tagOf(value)) && typeof (/** @type {any} */ (value).arrayBuffer) === 'function'

/** @param {string} what @param {unknown} [cause] */
const badData = (what, cause) => new TriwayError('bad_data', { detail: `${what} cannot be sent as JSON`, hint: 'Send JSON values, or bytes as ArrayBuffer, view, Blob or File at the top.', cause })

/** What of it JSON would lose; empty where nothing. @param {unknown} value */
function lossOf(value) {
  const type = typeof value
  if (type === 'bigint') return 'A BigInt'
  if (type === 'function' || type === 'symbol') return `A ${type}`
  if (type === 'number' && !Number.isFinite(value)) return String(value)
  if (!value || type !== 'object') return ''
  const tag = tagOf(value)
  if (tag === 'Number' && !Number.isFinite(value.valueOf())) return String(value)
  if (isBuffer(value)) return `A nested ${tag}`
  if (typeof (/** @type {any} */ (value).toJSON) === 'function' || PLAIN.includes(tag)) return ''
  return `A ${tag}`
}

/**
 * The JSON of a value.
 * @param {unknown} value
 * @returns {string}
 * @throws {TriwayError} `bad_data` where JSON would lose something, or fails
 */
export function jsonOf(value) {
  /** @this {any} @param {string} key @param {unknown} after what toJSON made of it */
  const check = function (key, after) {
    const loss = lossOf(this[key]) || lossOf(after)
    if (loss) throw badData(key ? `${loss} (at \`${key}\`)` : loss)
    return after
  }
  let json
  try {
    json = JSON.stringify(value, check)
  } catch (error) {
    throw error instanceof TriwayError ? error : badData(String(/** @type {any} */ (error)?.message ?? error), error)
  }
  if (json === undefined) throw badData(String(value))
  return json
}

/** Bytes of a text in UTF-8. @param {string} text */
export const bytesOfText = (text) => new TextEncoder().encode(text).length

/** @param {Uint8Array} bytes */
function base64(bytes) {
  let text = ''
  // In slices: a call has a bound of arguments.
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(text)
}

/** @param {any} buffer */
function ofBytes(buffer) {
  let bytes
  try {
    bytes = new Uint8Array(buffer.buffer ?? buffer, buffer.byteOffset ?? 0, buffer.byteLength)
  } catch (error) {
    throw badData('A buffer that was transferred away', error)
  }
  return { member: `"data64":"${base64(bytes)}"`, size: bytes.length }
}

/**
 * @typedef {{member: string, size: number}} Encoded the member of a command, and the bytes as the hub counts them
 */

/**
 * Data as a member of a command. A Blob is read, everything else is encoded at once: what the application
 * changes afterwards is not sent.
 * @param {any} data
 * @returns {Encoded | Promise<Encoded>}
 */
export function encode(data) {
  if (isBlob(data)) return Promise.resolve(data.arrayBuffer()).then(ofBytes, (error) => Promise.reject(badData('A Blob that cannot be read', error)))
  if (isBuffer(data)) return ofBytes(data)
  const json = jsonOf(data)
  // A text counts without quotes and escapes, however it comes.
  return { member: `"data":${json}`, size: bytesOfText(typeof data === 'string' ? data : json) }
}

/** The size of data that is known before it is read. @param {any} data */
export const sizeBefore = (data) => (isBlob(data) ? data.size : 0)

/** Bytes that came as base64. @param {string} data64 */
export const bytesOf = (data64) => Uint8Array.from(atob(data64), (character) => character.charCodeAt(0)).buffer
