/**
 * The words of the ladder: the facts that it observes, the steps that it returns, and the causes
 * that both may name. Pure; what follows from a fact is in ladder.js.
 */
import { CAUSES } from './causes.js'

/** @typedef {'ws' | 'sse' | 'poll'} Transport */

/**
 * @typedef {object} OpenStep starts one attempt: one attachment of one transport
 * @property {'open'} do
 * @property {number} id of the attempt; all later facts and steps about it carry this id
 * @property {Transport} transport
 * @property {string} why `TRANSPORT:CAUSE`, or a word without a colon, which is not sent to the hub
 * @property {number} [beat] heartbeat in seconds to request
 * @property {number} [wait] seconds that a poll may be held; 0 for short polls
 * @property {number} [early] 1 if the head of a held poll must be sent at once
 * @property {number} [patience] ms after which a poll that should be answered at once is sent on another connection
 * @property {number} [pause] ms between the answer to a short poll and the next request; absent unless polls are short
 *
 * @typedef {OpenStep
 *   | {do: 'close', id: number}
 *   | {do: 'carry', id: number, why: string}
 *   | {do: 'failed', id: number, why: string}
 *   | {do: 'state', state: LadderState, why: string}
 *   | {do: 'check'}
 *   | {do: 'remember'}} Step
 *
 * @typedef {'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline'} LadderState
 *
 * @typedef {'start' | 'tick' | 'adapt' | 'rtt' | 'use' | 'reopen' | 'hello' | 'frame' | 'proof' | 'mute' | 'incomplete'
 *   | 'starved' | 'away' | 'ended' | 'checked' | 'offline' | 'online' | 'hidden' | 'visible' | 'pause' | 'blocked'} FactType
 *
 * @typedef {object} Fact
 * @property {number} [id] of the attempt
 * @property {string} [why] `ended`: a cause, a code of the hub, `bye:REASON`, or `http_STATUS`
 * @property {number} [ms] `rtt`, `checked`: what the request took. `proof`: what the ping's reply took
 * @property {Transport | 'auto'} [transport] `use`
 * @property {number} [beat] `hello`: heartbeat in seconds
 * @property {string} [network] `hello`: tag of the client's network
 * @property {string} [build] `hello`: of the hub
 * @property {boolean} [probes] `hello`: this hub sends lone pings on this attachment, after hello and after events. Absent for older hubs
 * @property {boolean} [ping] `frame`: it is a ping
 * @property {boolean} [event] `frame`: it is an event or a gap
 * @property {number} [time] `frame`: the hub's clock
 * @property {number} [afterMs] `ended`, `checked`: the hub said not to come back sooner
 * @property {boolean} [planned] `ended`: not the path's fault, so it teaches nothing
 * @property {boolean} [foreign] `ended`, `checked`: something other than the hub answered
 * @property {boolean} [ok] `checked`: the hub answered
 * @property {import('./adaptation.js').Adaptation} [adaptation] `adapt`: the part that is loaded after the first connection
 */

/** Causes of refusals that pass. They say nothing about the transport. */
const PASSING_CAUSES = ['busy', 'drain', 'expired']

/** Codes of refusals, and reasons of `bye`, that have a cause of their own. @type {Record<string, string>} */
const CAUSE_BY_CODE = {
  unauthorized: 'expired',
  session_expired: 'expired',
  rate_limited: 'busy',
  too_many_connections: 'busy',
  too_many_bodies: 'busy',
  body_timeout: 'busy',
  draining: 'drain',
  broker_unavailable: 'drain',
  internal: 'drain',
}

/** Reasons of `bye` by which the hub ended a connection that no longer took or sent anything. */
const GONE_BYES = ['bye:slow', 'bye:silent']

/**
 * The cause, from `CAUSES`, of an end as the client core names it.
 * @param {string} [why]
 * @returns {string}
 */
export function causeOf(why = 'closed') {
  if (GONE_BYES.includes(why)) return 'gone'
  if (/^http_/.test(why)) return 'http'
  const code = why.replace(/^bye:/, '')
  if (CAUSES.includes(code)) return code
  return Object.hasOwn(CAUSE_BY_CODE, code) ? CAUSE_BY_CODE[code] : 'error'
}

/** Whether a cause says nothing about the transport, because the same may succeed later. @param {string} cause */
export const isPassing = (cause) => PASSING_CAUSES.includes(cause)
