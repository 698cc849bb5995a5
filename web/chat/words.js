/**
 * What the page says: names of transports and states, times, sizes, refusals.
 *
 * This file knows no element and no hub. The page's own words are English;
 * times, numbers and sorting follow the reader's browser.
 */

/** @typedef {'ws' | 'sse' | 'poll'} Transport */

/** @type {Record<Transport, { short: string, long: string }>} */
export const TRANSPORTS = {
  ws: { short: 'WS', long: 'WebSocket' },
  sse: { short: 'SSE', long: 'Server-Sent Events' },
  poll: { short: 'LP', long: 'long polling' },
}

/** What each `hub.state` means for the person in front of the page. */
export const STATES = /** @type {Record<string, string>} */ ({
  connecting: 'Connecting…',
  connected: 'Connected',
  reconnecting: 'Reconnecting…',
  captive: 'Something on the network answers in the hub’s place',
  offline: 'Offline',
  closed: 'Closed',
})

/** Why a hole is in the room's history, by the reason of the gap. */
const GAPS = /** @type {Record<string, string>} */ ({
  evicted: 'the room’s history is full, and the oldest gave way',
  expired: 'they grew too old for the room’s history',
  restart: 'the hub was restarted',
  unknown: 'the hub does not know the place where this page was',
})

/** @param {string} reason */
export function gapText(reason) {
  return `Some messages are missing here: ${GAPS[reason] ?? reason}.`
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', year: 'numeric', month: 'long', day: 'numeric' })
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' })
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 })

/** @param {number} time milliseconds since 1970 */
export const clockText = (time) => clock.format(time)
/** @param {number} time milliseconds since 1970 */
export const dayText = (time) => day.format(time)
/** @param {number} time milliseconds since 1970 */
export const exactText = (time) => exact.format(time)
/** @param {number} count */
export const countText = (count) => number.format(count)

/** Sorts names as the reader's language does. */
export const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' }).compare

const KIB = 1024
const MIB = KIB * KIB

/** @param {number} bytes */
export function sizeText(bytes) {
  if (bytes < KIB) return `${number.format(bytes)} ${bytes === 1 ? 'byte' : 'bytes'}`
  if (bytes < MIB) return `${number.format(bytes / KIB)} KiB`
  return `${number.format(bytes / MIB)} MiB`
}

/** Refusals that a person can do something about; others keep the hub's own words. */
const REFUSALS = /** @type {Record<string, string>} */ ({
  rate_limited: 'That was too fast for this hub. Wait a moment, then send again.',
  forbidden: 'This hub does not allow that here.',
  unauthorized: 'This hub asks for a sign-in that this page does not have.',
  draining: 'The hub is about to restart. Send again in a moment.',
  queue_full: 'Too much is waiting to be sent. Send again once the connection is back.',
  closed: 'The connection was closed before this was sent.',
})

/**
 * A refusal in a person's words, with the stable code for those who look it up.
 * @param {unknown} error
 * @param {number} bytes  how much was to be sent
 * @param {number} limit  the hub's usual limit for one message, in bytes
 */
export function refusalText(error, bytes, limit) {
  const { code, hint, message } = /** @type {{ code?: string, hint?: string, message?: string }} */ (error ?? {})
  if (code === 'too_large') {
    const words = `Too large: this is ${sizeText(bytes)}, and a hub takes up to ${sizeText(limit)} unless it was set otherwise.`
    return `${words}${hint ? ` The hub says: ${hint}` : ''} (too_large)`
  }
  const words = (code && REFUSALS[code]) || hint || message || 'It could not be sent.'
  return code ? `${words} (${code})` : words
}
