/**
 * Requests beside the reading: as this session, answered at once. Knows the hub's address, session
 * and token; nothing of places or of the ladder's choice.
 */
import { query } from './attach.js'
import { MAGIC, refused } from './frame.js'
import { newNonce } from './poll.js'
import { request } from './sse.js'

/** @typedef {import('./client.js').Hub} Hub */

/** The session key lasts an hour at most; it is renewed well before, in ms, by a small poll. */
const RENEW_MS = 45 * 60_000
/** No answer to the look for the hub, in ms. */
const CHECK_MS = 2500

/** Asked once, and again when it was refused or has expired. @param {Hub} hub @returns {Promise<string | undefined>} */
export async function credential(hub) {
  const { token } = hub.options_
  return (hub.token_ ??= await (typeof token === 'function' ? token() : token))
}

/** @param {Hub} hub @param {string} path @param {string} [more] of the query @param {RequestInit} [init] @returns {Promise<any>} */
export async function ask(hub, path, more = '', init) {
  const token = await credential(hub)
  const sentAt = Date.now()
  const address = `${hub.base_}${path}?${query({ session: hub.line_?.session?.key })}${more}`
  const response = await hub.globals_.fetch(address, { ...request(token), ...init })
  if (!response.ok) {
    const error = await refused(response)
    // A token that has expired is asked for anew, once for each that was given.
    if (error.code !== 'unauthorized' || !token || typeof hub.options_.token !== 'function' || hub.tokenRefused_) throw error
    hub.tokenRefused_ = true
    hub.token_ = undefined
    return ask(hub, path, more, init)
  }
  const answer = await response.json()
  hub.tokenRefused_ = false
  measured(hub, sentAt)
  return answer
}

/** @param {Hub} hub @param {number} sentAt */
export function measured(hub, sentAt) {
  hub.rtt = Date.now() - sentAt
  hub.see_('rtt', { ms: hub.rtt })
}

/** Is it the hub that answers? @param {Hub} hub */
export async function check(hub) {
  /** @type {import('./rungs.js').Fact} */
  let fact = {}
  try {
    const response = await hub.globals_.fetch(`${hub.base_}healthz?${newNonce()}`, { ...request(), signal: AbortSignal.timeout(CHECK_MS) })
    const { status } = response
    fact = { foreign: status < 502 || status > 504, ok: (await response.json().catch(() => {}))?.magic === MAGIC }
  } catch {
    // No answer is none from a stranger either.
  }
  hub.see_('checked', fact)
}

/** Something came on the carrier: a time to say that we are here, and who, as often as it is asked. @param {Hub} hub @param {string} transport */
export function alive(hub, transport) {
  const now = Date.now()
  if (now > hub.renewedAt_ + RENEW_MS) renew(hub)
  // On SSE nothing goes back by itself, and presence is judged by a ping each heartbeat.
  if (transport !== 'sse' || !hub.presence_() || now < hub.pingedAt_ + hub.pingMs_) return
  hub.pingedAt_ = now
  ask(hub, 'send', '', { method: 'POST', body: '[{"type":"ping"}]' }).catch(() => {})
}

/** A hello renews the session key; a poll that is not held brings one, whatever carries. @param {Hub} hub */
export async function renew(hub) {
  const line = hub.line_
  hub.renewedAt_ = Date.now()
  const answer = await ask(hub, 'poll', query({ channels: '@', since: 'now', wait: 0, nonce: newNonce() })).catch(() => {})
  const session = answer?.frames?.[0]?.session
  if (!session || !line) return
  // Another id: the hub no longer knows this session (a restart with another secret).
  if (session.id === line.session?.id) line.session = session
  else hub.see_('reopen')
}

/** Presence ends at once. @param {Hub} hub */
export function leave(hub) {
  const { carrier_: carrier } = hub
  if (!carrier || !hub.presence_()) return
  if (carrier.socket) carrier.command({ type: 'leave' }, () => {})
  else ask(hub, 'send', '', { method: 'POST', body: '[{"type":"leave"}]', keepalive: true }).catch(() => {})
}
