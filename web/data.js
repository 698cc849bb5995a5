/**
 * The data of a publish, as a member of its command. Values that JSON would silently change are refused, or
 * sent as bytes. Pure, apart from reading a Blob.
 */
import { TriwayError } from './error.js'

/** Tags of objects that JSON keeps; others need `toJSON`, or are refused. */
const PLAIN = ['Object', 'Array', 'String', 'Number', 'Boolean', 'Arguments', 'Date']

/** The tag of a value, such as `Map` or `ArrayBuffer`; it is the same in every realm. @param {unknown} value */
const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1)

/** @param {unknown} value @returns {value is ArrayBuffer | ArrayBufferView} */
const isBuffer = (value) => ArrayBuffer.isView(value) || /^(Shared)?ArrayBuffer$/.test(tagOf(value))

/** @param {unknown} value @returns {value is Blob} */
const isBlob = (value) => /^(Blob|File)$/.test(tagOf(value)) && typeof (/** @type {any} */ (value).arrayBuffer) === 'function'

/** @param {string} what @param {unknown} [cause] */
const badData = (what, cause) => new TriwayError('bad_data', { detail: `${what} cannot be sent as JSON`, hint: 'Send JSON values, or bytes as ArrayBuffer, view, Blob or File at the top.', cause })

/** What JSON would lose of a value; empty if nothing. @param {unknown} value */
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
 * @throws {TriwayError} `bad_data`, if JSON would lose something, or fails
 */
export function jsonOf(value) {
  /** @this {any} @param {string} key @param {unknown} after what `toJSON` returned */
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

/** The length of a text in UTF-8, in bytes. @param {string} text */
export const bytesOfText = (text) => new TextEncoder().encode(text).length

/** @param {Uint8Array} bytes */
function base64(bytes) {
  let text = ''
  // In slices, since the number of arguments of a call is limited.
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
 * @typedef {{member: string, size: number}} Encoded the member of a command, and the size in bytes, as the hub counts it
 */

/**
 * Data as a member of a command. A Blob is read; everything else is encoded at once, so that later changes by
 * the application are not sent.
 * @param {any} data
 * @returns {Encoded | Promise<Encoded>}
 */
export function encode(data) {
  if (isBlob(data)) return Promise.resolve(data.arrayBuffer()).then(ofBytes, (error) => Promise.reject(badData('A Blob that cannot be read', error)))
  if (isBuffer(data)) return ofBytes(data)
  const json = jsonOf(data)
  // The hub counts a string without quotes and escapes.
  return { member: `"data":${json}`, size: bytesOfText(typeof data === 'string' ? data : json) }
}

/** The size of data, as far as it is known before a Blob is read. @param {any} data */
export const sizeBefore = (data) => (isBlob(data) ? data.size : 0)

/** Bytes from base64. @param {string} data64 */
export const bytesOf = (data64) => Uint8Array.from(atob(data64), (character) => character.charCodeAt(0)).buffer
