/**
 * Nicknames and room names: cleaned, kept, and read from the address.
 *
 * This file is pure but for the two stores it is handed; it knows no hub and
 * no element.
 */

/** Code points in a nickname: enough for any name, short enough for a phone's line. */
export const NICKNAME_LENGTH = 40
/** UTF-8 bytes in a channel name, by the hub's contract. */
export const ROOM_BYTES = 128
/** The room of an address that names none. */
export const FIRST_ROOM = 'lobby'
/** Rooms remembered for the list of links: what fits beside the people without scrolling. */
export const ROOMS_KEPT = 8

const NICKNAME_KEY = 'triway.chat.nickname'
const ROOMS_KEY = 'triway.chat.rooms'

/**
 * Where something is kept. A function, since with storage switched off already
 * the word `localStorage` throws.
 * @typedef {() => Storage} Store
 */

/** Control characters, and the invisible ones that turn or hide the text around them. */
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu
/** More marks on one letter than any script needs would climb over the lines above. */
const STACKED_MARKS = /(\p{M}{4})\p{M}+/gu

/**
 * A nickname as it is shown: one line, no invisible turns, bounded. Others may
 * run another page than this one, so names that arrive are cleaned as well.
 * @param {unknown} text
 * @returns {string} empty when nothing visible is left
 */
export function cleanNickname(text) {
  if (typeof text !== 'string') return ''
  const seen = text.slice(0, 1000).normalize('NFC').replace(UNSEEN, ' ').replace(STACKED_MARKS, '$1')
  return [...seen.replace(/\s+/gu, ' ').trim()].slice(0, NICKNAME_LENGTH).join('').trim()
}

/**
 * Why a room of this name cannot be entered, or '' when it can.
 * @param {string} room
 */
export function roomRefusal(room) {
  if (room === '') return 'A room needs a name.'
  if (new TextEncoder().encode(room).length > ROOM_BYTES) return `A room’s name has at most ${ROOM_BYTES} bytes.`
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f,]/u.test(room)) return 'A room’s name has no comma and no control character.'
  if (/^[$@]/.test(room)) return 'Names that begin with $ or @ belong to the hub.'
  if (/\p{Surrogate}/u.test(room)) return 'This name holds half a letter.'
  return ''
}

/**
 * The room that an address's fragment names.
 * @param {string} fragment  such as `#lobby`, percent-encoded or not
 */
export function roomOf(fragment) {
  const text = fragment.replace(/^#/, '')
  try {
    return decodeURIComponent(text).trim() || FIRST_ROOM
  } catch {
    return text // a lone % that somebody typed: take it as it stands
  }
}

/** @param {string} room */
export const fragmentOf = (room) => `#${encodeURIComponent(room)}`

/**
 * The last nickname. A tab's own name goes first, so that two tabs of one
 * browser can be two people; the browser's comes next.
 * @param {Store} tab
 * @param {Store} browser
 */
export function keptNickname(tab, browser) {
  return cleanNickname(read(tab, NICKNAME_KEY) ?? read(browser, NICKNAME_KEY) ?? '')
}

/**
 * @param {Store} tab
 * @param {Store} browser
 * @param {string} nickname
 */
export function keepNickname(tab, browser, nickname) {
  write(tab, NICKNAME_KEY, nickname)
  write(browser, NICKNAME_KEY, nickname)
}

/**
 * The rooms lately entered, newest first, with this one put in front.
 * @param {Store} browser
 * @param {string} room
 * @returns {string[]}
 */
export function keepRoom(browser, room) {
  let kept = []
  try {
    const parsed = JSON.parse(read(browser, ROOMS_KEY) ?? '[]')
    if (Array.isArray(parsed)) kept = parsed.filter((each) => typeof each === 'string' && !roomRefusal(each))
  } catch {
    // somebody else's words under our key: begin anew
  }
  const rooms = [...new Set([room, ...kept])].slice(0, ROOMS_KEPT)
  write(browser, ROOMS_KEY, JSON.stringify(rooms))
  return rooms
}

/** @param {Store} store @param {string} key */
function read(store, key) {
  try {
    return store().getItem(key)
  } catch {
    return null // storage is switched off: the page works, it only forgets
  }
}

/** @param {Store} store @param {string} key @param {string} value */
function write(store, key, value) {
  try {
    store().setItem(key, value)
  } catch {
    // full or switched off: forgetting a name is no reason to fail
  }
}
