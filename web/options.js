/**
 * Arguments and options of the application, checked at the call, by the hub's own rules. Pure: knows no hub and
 * no connection.
 */
import { bytesOfText, jsonOf } from './data.js'
import { TriwayError } from './error.js'

/** @typedef {import('./rungs.js').Transport} Transport */

/** @type {Transport[]} */
export const TRANSPORTS = ['ws', 'sse', 'poll']
/** Bytes of a channel's name and of an event's name: the hub's bounds. */
const NAME_MAX_BYTES = 128
/** Bytes of `info`: the hub's bound. */
const INFO_MAX_BYTES = 1024
/** How long a publish waits through an outage by default, in ms. */
const TIMEOUT_MS = 60_000
/** Longest time of a timer, in ms: timers count in 31 bits. */
const TIMER_MAX_MS = 2 ** 31 - 1

const ADDRESS = 'Give the whole address of the hub, such as https://app.example.com/.'
/** The hint for names. */
const NAME = `Use another name, of up to ${NAME_MAX_BYTES} bytes without control characters or commas.`

const CURSOR = /^[0-9a-z]{1,16}-\d{1,20}$/
const START = /^(now|all|last:\d{1,10}|\d{1,15}(ms|s|m|h|d))$/
const CONTROL = /\p{Cc}/u

/** @param {string} code @param {string} detail @param {string} [hint] */
const mistake = (code, detail, hint = 'Correct it, or leave it out.') => new TriwayError(code, { detail, hint })

/** @param {boolean} isGood @param {string} name @param {string} wanted */
function expect(isGood, name, wanted) {
  if (!isGood) throw mistake('bad_option', `\`${name}\` must be ${wanted}`)
}

/** @param {object} options @param {string[]} known */
function expectKnown(options, known) {
  for (const name of Object.keys(options)) if (!known.includes(name)) throw mistake('bad_option', `\`${name}\` is not an option`, `The options are ${known.join(', ')}.`)
}

/** What a token must be: a header can carry nothing else after `Bearer `. */
export const TOKEN = 'a text of visible ASCII, without spaces and without `Bearer`'

/** @param {unknown} token */
export const isToken = (token) => typeof token === 'string' && /^[!-~]+$/.test(token)

/** @param {any} signal */
const isSignal = (signal) => typeof signal === 'object' && typeof signal?.aborted === 'boolean' && typeof signal.addEventListener === 'function'

/** @param {any} value @param {string} name */
export const checkFunction = (value, name) => expect(typeof value === 'function', name, 'a function')

/** @param {any} options of a publish */
export function checkPublishOptions(options) {
  expect(typeof options === 'object' && options !== null, 'options', 'an object')
  expectKnown(options, ['name', 'signal'])
  if (options.name != null) checkEventName(options.name)
  if (options.signal != null) expect(isSignal(options.signal), 'signal', 'an AbortSignal')
}

/** The options of `connect`: a check, and what the option must be. @type {Record<string, [(value: any) => boolean, string]>} */
const OPTIONS = {
  token: [(token) => typeof token === 'function' || isToken(token), TOKEN + ', or a function that returns one'],
  credentials: [(mode) => /^(omit|same-origin|include)$/.test(mode), 'omit, same-origin or include'],
  transports: [(list) => Array.isArray(list) && list.length > 0 && list.every((one) => TRANSPORTS.includes(one)), `a list of ${TRANSPORTS.join(', ')}`],
  info: [() => true, ''],
  signal: [isSignal, 'an AbortSignal'],
  heartbeat: [(seconds) => Number.isInteger(seconds) && seconds >= 1 && seconds <= 60, 'a whole number of seconds from 1 to 60'],
  share: [(share) => typeof share === 'boolean', 'true or false'],
  timeout: [(ms) => typeof ms === 'number' && ms > 0 && ms <= TIMER_MAX_MS, `a number of milliseconds up to ${TIMER_MAX_MS}`],
  reviver: [(reviver) => typeof reviver === 'function', 'a function, as JSON.parse takes it'],
  fetch: [(fetch) => typeof fetch === 'function', 'a function'],
  WebSocket: [(WebSocket) => typeof WebSocket === 'function', 'a class'],
}

/**
 * Checks the options of `connect`, and adds the defaults.
 * @param {import('./client.js').Options} options
 */
export function checkOptions(options) {
  expect(typeof options === 'object' && options !== null, 'options', 'an object')
  expectKnown(options, Object.keys(OPTIONS))
  for (const [name, [isGood, wanted]] of Object.entries(OPTIONS)) {
    const value = /** @type {any} */ (options)[name]
    if (value != null) expect(isGood(value), name, wanted)
  }
  // `null` counts as left out.
  const given = /** @type {import('./client.js').Options} */ (Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null)))
  const { info, transports = TRANSPORTS, timeout = TIMEOUT_MS, fetch = globalThis.fetch, WebSocket = globalThis.WebSocket } = given
  const usable = [...new Set(transports)].filter((transport) => (transport === 'ws' ? WebSocket : fetch))
  if (!usable[0]) throw mistake('bad_option', '`transports` leaves nothing that works here', 'This platform has no WebSocket or no fetch: pass one as an option.')
  return { ...given, transports: usable, timeout, fetch, WebSocket, infoJson: info == null ? undefined : checkInfo(info) }
}

/** @param {any} info */
function checkInfo(info) {
  const json = jsonOf(info)
  if (bytesOfText(json) > INFO_MAX_BYTES) throw mistake('too_large', `\`info\` has more than ${INFO_MAX_BYTES} bytes`, 'Put less into it.')
  return json
}

/**
 * Checks the address of a hub. Returns it with a slash at its end, without query and hash.
 * @param {string | URL} address
 */
export function checkAddress(address) {
  let url
  try {
    if (typeof address !== 'string' && !(address instanceof URL || typeof (/** @type {any} */ (address)?.href) === 'string')) throw new TypeError('no text')
    // In a page, a host without a scheme would be resolved as a relative path.
    if (typeof address === 'string' && /^([^/?#:]*\.|\[|localhost)[^/?#]*(:\d+)?([/?#]|$)/.test(address) && !/^\.\.?(\/|$)/.test(address) && !/^[a-z][a-z+-]*:\/\//i.test(address)) throw new TypeError('no scheme')
    url = new URL(address, globalThis.location?.href)
  } catch {
    throw mistake('bad_address', `\`${String(address)}\` is not an address`, ADDRESS)
  }
  if (!/^https?:$/.test(url.protocol)) throw mistake('bad_address', `\`${address}\` is not an http or https address`, 'The address of a hub begins with https:// or http://, for WebSocket too.')
  if (/[%\s]/.test(url.hostname)) throw mistake('bad_address', `\`${String(address)}\` names no host`, ADDRESS)
  if (url.username || url.password) throw mistake('bad_address', 'an address with a user name or password cannot be requested', 'Pass a credential as `token`.')
  // The address of a page may end with the name of its file.
  return url.origin + url.pathname.replace(/[^/]*\.html?$/, '').replace(/\/?$/, '/')
}

/** @param {any} transport @param {Transport[]} allowed */
export function checkTransport(transport, allowed) {
  expect(transport === 'auto' || allowed.includes(transport), 'transport', `auto, ${allowed.join(' or ')}`)
}

/** @param {any} name */
export function checkChannel(name) {
  const reason =
    typeof name !== 'string' ? 'is not a text'
    : !name || name === '$presence/' ? 'is empty'
    : name.includes(',') ? 'holds a comma'
    : CONTROL.test(name) ? 'holds a control character'
    : /\p{Cs}/u.test(name) ? 'is not well-formed Unicode'
    : bytesOfText(name.replace(/^\$presence\//, '')) > NAME_MAX_BYTES ? `has more than ${NAME_MAX_BYTES} bytes`
    : ''
  if (reason) throw mistake('bad_channel', `the channel name \`${String(name)}\` ${reason}`, NAME)
}

/**
 * Checks the options of a channel. The inbox of another session can only be published to.
 * @param {string} name
 * @param {{since?: string, presence?: boolean}} options
 */
export function checkChannelOptions(name, options) {
  expect(typeof options === 'object' && options !== null, 'options', 'an object')
  expectKnown(options, ['since', 'presence'])
  const { since, presence } = options
  if (since != null && !(typeof since === 'string' && (START.test(since) || CURSOR.test(since)))) {
    throw mistake('bad_cursor', `\`since\` is ${String(since)}`, 'It is now, all, last:20, a duration such as 10m, or the id of an event.')
  }
  if (presence != null) expect(typeof presence === 'boolean', 'presence', 'true or false')
  if (presence && /^[@$]/.test(name)) throw mistake('bad_option', `\`presence\` does not work for \`${name}\``, 'Inboxes and channels of the hub have no members.')
  if (since != null && since !== 'now' && /^@./.test(name)) throw mistake('bad_option', `\`since\` does not work for \`${name}\``, 'Only its owner reads an inbox, as `hub.inbox`.')
}

/** @param {any} name of an event */
export function checkEventName(name) {
  const reason =
    typeof name !== 'string' ? 'is not a text'
    : /^(open|error|\$.*)$/s.test(name) ? 'is reserved'
    : CONTROL.test(name) ? 'holds a control character'
    : bytesOfText(name) > NAME_MAX_BYTES ? `has more than ${NAME_MAX_BYTES} bytes`
    : ''
  if (reason) throw mistake('bad_name', `the event name \`${String(name)}\` ${reason}`, NAME)
}
