/**
 * How a file travels as one event's bytes, and how it is made harmless here.
 *
 * The bytes of an event named `file` are a head, a line feed, and the file:
 *
 *     {"file":"cat.png","nick":"Ann","ref":"k3x9"}\n<raw bytes>
 *
 * The head says what to call the file; what the file *is* is read from its own
 * first bytes (pictures.js), never believed from the head. This file knows no
 * hub and no element.
 */
import { cleanNickname } from './names.js'

/** The name of events whose bytes have a head as above. */
export const FILE_EVENT = 'file'
/** Bytes in a head: a name of 100 letters, a nickname and a reference, thrice over. */
export const HEAD_BYTES = 2048
/** Code points in a file's name: what a phone's line and every file system take. */
export const FILE_NAME_LENGTH = 100
/** The hub's usual limit for the data of one event, in bytes. The hub decides, not this page. */
export const USUAL_LIMIT_BYTES = 64 * 1024
/** No hub takes more than this in one event, so nothing larger is even read, in bytes. */
export const HIGHEST_LIMIT_BYTES = 16 * 1024 * 1024

/** The one type under which files are offered: no browser opens it in the page's place. */
const INERT_TYPE = 'application/octet-stream'
const LINE_FEED = 10

/**
 * @typedef {object} FileHead
 * @property {string} file  the file's name, safe to offer
 * @property {string} nick  the sender's nickname, cleaned; may be empty
 * @property {string} ref   the sender's own mark for this sending; may be empty
 */

/**
 * @param {FileHead} head
 * @param {Uint8Array} bytes
 * @returns {ArrayBuffer}
 */
export function packFile(head, bytes) {
  const { file, nick, ref } = head
  const words = new TextEncoder().encode(`${JSON.stringify({ file: safeFileName(file), nick, ref })}\n`)
  const packed = new Uint8Array(words.length + bytes.length)
  packed.set(words)
  packed.set(bytes, words.length)
  return packed.buffer
}

/**
 * Bytes without a head of ours are a file all the same: one without a name.
 * @param {ArrayBuffer} data
 * @returns {{ head: FileHead, bytes: Uint8Array<ArrayBuffer> }}
 */
export function unpackFile(data) {
  const bytes = new Uint8Array(data)
  const end = bytes.subarray(0, HEAD_BYTES).indexOf(LINE_FEED)
  const head = end < 0 ? null : readHead(bytes.subarray(0, end))
  if (head === null) return { head: { file: 'bytes.bin', nick: '', ref: '' }, bytes }
  return { head, bytes: bytes.subarray(end + 1) }
}

/**
 * @param {Uint8Array} words
 * @returns {FileHead | null}
 */
function readHead(words) {
  try {
    const head = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(words))
    if (head === null || typeof head !== 'object' || typeof head.file !== 'string') return null
    const ref = typeof head.ref === 'string' ? head.ref : ''
    return { file: safeFileName(head.file), nick: cleanNickname(head.nick), ref }
  } catch {
    return null
  }
}

/**
 * A name that cannot climb out of a folder, hide itself, or look like another:
 * no separators, no control or turning characters, no leading dots. The ending
 * stays, since people need it.
 * @param {string} name
 */
export function safeFileName(name) {
  const plain = cleanLine(name).replace(/[\\/:*?"<>|]+/g, '_').replace(/^[.\s]+|[.\s]+$/g, '')
  const letters = [...plain]
  if (letters.length === 0) return 'file.bin'
  if (letters.length <= FILE_NAME_LENGTH) return plain
  const ending = /\.[\p{L}\p{N}]{1,10}$/u.exec(plain)?.[0] ?? ''
  return letters.slice(0, FILE_NAME_LENGTH - ending.length).join('') + ending
}

/** @param {string} text */
function cleanLine(text) {
  const bounded = text.slice(0, 1000)
  // eslint-disable-next-line no-control-regex
  return bounded.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu, '').normalize('NFC')
}

/**
 * A blob that a browser saves and never opens, whatever its name says.
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
export function inertBlob(bytes) {
  return new Blob([bytes], { type: INERT_TYPE })
}
