/** Compares measurements with bounds. Pure: knows no middlebox, no engine and no clock. */
import { busiest } from './journey.js'

/**
 * @typedef {object} Bounds
 * @property {number} [usableMs] to the first proven transport
 * @property {string} [transport] at the end; several joined by `|`
 * @property {RegExp} [reason] of the last change of transport
 * @property {number} [worstMs] the longest latency of an event once deliveries are judged
 * @property {number} [perSecond] requests in any second
 * @property {number} [answeredMs] until the first publish was answered
 * @property {boolean} [mayReject] publishes may be rejected
 * @property {boolean} [mayBeCaptive] false if the state must never be `captive`
 * @property {(measured: any) => (string | false | undefined)[]} [more]
 */

/** @param {any} measured @param {Bounds} bounds @returns {string[]} what is wrong */
export function judge(measured, { usableMs, answeredMs, transport, reason, worstMs, perSecond, mayReject, mayBeCaptive, more }) {
  const { lost, twice, disorder, rejected, down, up, denied, states } = measured
  const wrong = [
    !measured.usableMs && 'never usable',
    usableMs && measured.usableMs > usableMs && `usable after ${measured.usableMs} ms, allowed are ${usableMs}`,
    answeredMs && !(measured.answeredMs <= answeredMs) && `the first publish is answered after ${measured.answeredMs} ms, allowed are ${answeredMs}`,
    mayBeCaptive === false && states.includes('captive') && 'it says captive',
    transport && !transport.split('|').includes(measured.transport) && `on ${measured.transport}, not on ${transport}`,
    reason && !reason.test(measured.ways.at(-1)?.reason ?? '') && `the reason told is ${measured.ways.at(-1)?.reason}, not ${reason}`,
    worstMs && measured.worstMs > worstMs && `an event took ${measured.worstMs} ms, allowed are ${worstMs}: ${JSON.stringify(measured.worst)}`,
    perSecond && busiest(measured.asked) > perSecond && `${busiest(measured.asked)} requests in a second, allowed are ${perSecond}`,
    (lost || twice || disorder) && `${lost} lost, ${twice} twice, ${disorder} out of order: heard ${JSON.stringify(down)}, said ${JSON.stringify(up)}`,
    !mayReject && rejected.length && `rejected: ${rejected.slice(0, 5)}`,
    denied.length && `acted and rejected: ${denied}`,
    ...(more?.(measured) ?? []),
  ]
  return wrong.filter((each) => typeof each === 'string')
}

/** Returns how often this was requested between two times of the run. @param {any} measured @param {string} what @param {number} [fromMs] @param {number} [toMs] */
export const askedFor = ({ asked }, what, fromMs = 0, toMs = Infinity) => asked.filter(([at, kind]) => kind.includes(what) && at >= fromMs && at < toMs).length
