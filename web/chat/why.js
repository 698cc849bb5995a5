/**
 * The client's report in sentences, for somebody who knows nothing of transports' inner life: why
 * this way, and what was tried before.
 *
 * This file knows the report's data; it knows no element and no hub.
 */
import { TRANSPORTS, clockText, countText } from './words.js'

/** @typedef {import('./words.js').Transport} Transport */
/**
 * @typedef {object} Try
 * @property {Transport} transport
 * @property {number} at
 * @property {string} why
 * @property {number} [helloMs] @property {number} [carriedMs]
 * @property {number} [failedMs] @property {string} [failed]
 * @property {number} [endedMs] @property {string} [ended]
 * @typedef {{ state: string, transport: Transport | null, why: string, tries: Try[], learned?: any }} Report
 */

/** The newest of them are shown; all are in the report that can be copied. */
const TRIES_SHOWN = 8

/** Why something is tried. */
const CAUSES = /** @type {Record<string, string>} */ ({
  start: 'the first try',
  asked: 'you chose it',
  online: 'the network came back',
  up: 'a look whether this way is free again',
  channels: 'the room changed',
  age: 'replaced before the network would cut it',
})

/** What befell a transport. */
const FATES = /** @type {Record<string, string>} */ ({
  slow: 'was slow to answer',
  refused: 'was refused',
  unproven: 'was opened, but nothing came through it',
  closed: 'was cut',
  silent: 'fell silent',
  mute: 'did not answer any more',
  foreign: 'was answered by something that is not the hub',
  incomplete: 'left out events on the way',
  starved: 'left no connection to send by',
  killed: 'was cut again and again',
  idle: 'was cut when nothing was sent',
  age: 'was cut after a fixed time',
  held: 'held events back',
  http: 'was answered with an error of something between',
  gone: 'was ended by the hub, which heard nothing',
  drain: 'was ended by the hub, to come back',
  busy: 'was ended by the hub, which had no room',
  expired: 'was ended because the credential ended',
  blocked: 'let nothing be sent',
  error: 'was refused by the hub',
  manual: 'was left by choice',
  sleep: 'slept too long',
  pagehide: 'ended when the page was left',
  'closed by us': 'was closed by this page',
})

/** @param {string} fate */
function fateText(fate) {
  const [, status] = /^http_(\d+)$/.exec(fate) ?? []
  if (status) return `was answered with status ${status}`
  if (fate.startsWith('bye:')) return 'was ended by the hub, to come back'
  return FATES[fate] ?? `ended (${fate})`
}

/** @param {string} transport */
const nameOf = (transport) => {
  const { long } = TRANSPORTS[/** @type {Transport} */ (transport)] ?? { long: transport }
  return long[0].toUpperCase() + long.slice(1)
}

/** @param {string} why */
export function causeText(why) {
  const [, transport, fate] = /^(ws|sse|poll):(.+)$/.exec(why) ?? []
  return transport ? `${nameOf(transport)} ${fateText(fate)}` : (CAUSES[why] ?? why)
}

/** @param {number} ms */
const spanText = (ms) => (ms < 1000 ? `${countText(ms)} ms` : `${countText(ms / 1000)} s`)

/** @param {Try} one */
function tryText({ transport, why, helloMs, carriedMs, failedMs, failed, endedMs, ended }) {
  const parts = []
  if (carriedMs !== undefined) parts.push(`in use after ${spanText(carriedMs)}`)
  else if (helloMs !== undefined) parts.push(`answered after ${spanText(helloMs)}`)
  if (failedMs !== undefined) parts.push(`${fateText(failed ?? '')} after ${spanText(failedMs)}`)
  else if (endedMs !== undefined) parts.push(`${fateText(ended ?? '')} after ${spanText(endedMs)}`)
  return `${nameOf(transport)} (${causeText(why)}): ${parts.join(', ') || 'under way'}`
}

/**
 * @param {Report} report
 * @returns {{ headline: string, tries: { time: string, text: string }[] }} newest try first
 */
export function whyText({ state, transport, why, tries, learned }) {
  const now = Date.now()
  const waits = Object.entries(learned ?? {}).filter(([, known]) => known?.until > now)
  const later = waits.map(([name, { until }]) => ` ${nameOf(name)} failed on this network, so it comes last until ${clockText(until)}.`)
  const headline = state === 'connected' && transport ? `${nameOf(transport)} is in use: ${causeText(why)}.` : 'No way is in use at the moment.'
  return {
    headline: headline + later.join(''),
    tries: tries.slice(-TRIES_SHOWN).reverse().map((one) => ({ time: clockText(one.at), text: tryText(one) })),
  }
}
