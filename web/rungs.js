/**
 * What the ladder knows at a moment, the facts that it is told, and the steps that it takes.
 * Words only: what follows from what is in ladder.js.
 */
import { nothingLearned } from './cuts.js'

/** @typedef {import('./cuts.js').Transport} Transport @typedef {import('./cuts.js').Learned} Learned */

/** The round-trip time to assume until one was measured, in ms: a slow mobile network. */
const RTT_ASSUMED_MS = 300

/**
 * @typedef {object} Try
 * @property {number} id
 * @property {Transport} transport
 * @property {string} why
 * @property {number} openedAt
 * @property {number} frameAt when it was last heard
 * @property {number} gap longest silence so far, in ms
 * @property {number} silentMs after which it is suspect
 * @property {number} helloAt
 * @property {number} provenAt
 * @property {boolean} [failed] counted as failed, though a late proof is still welcome
 * @property {boolean} [replaces] takes over when proven, whatever the carrier is
 * @property {string} [suspect] why
 * @property {boolean} [renewed] its successor was planned
 * @property {number} beatMs
 * @property {number} [fromTime] the hub's time of its first ping: what is older was replayed
 * @property {number} skew least difference of clocks seen, in ms
 * @property {number} slow late events in a row
 *
 * @typedef {{do: 'open', id: number, transport: Transport, why: string, beat?: number, wait?: number, early?: number}
 *   | {do: 'close', id: number} | {do: 'carry', id: number, why: string}
 *   | {do: 'failed', id: number, why: string} | {do: 'state', state: string, why: string} | {do: 'check'} | {do: 'keep'}} Step
 * @typedef {(ladder: Ladder, fact: Fact, one: Try) => any} See what follows from a fact
 *
 * @typedef {object} Fact
 * @property {number} [id] of the try
 * @property {string} [why]
 * @property {number} [ms]
 * @property {Transport | 'auto'} [transport]
 * @property {number} [beat] seconds
 * @property {string} [network]
 * @property {string} [build]
 * @property {boolean} [ping]
 * @property {number} [time] the hub's
 * @property {number} [afterMs] not before, by the hub's word
 * @property {boolean} [planned] not the way's fault
 * @property {boolean} [foreign] not the hub answered
 * @property {boolean} [ok]
 *
 * @typedef {ReturnType<typeof newLadder>} Ladder
 */

/**
 * @param {Transport[]} transports the order is the preference
 * @param {() => number} random
 * @param {Record<string, any>} [memory] as an earlier ladder left it
 * @param {string} [link] what the platform says of the network, before the hub names it
 */
export const newLadder = (transports, random, memory = {}, link = '') => ({
  transports,
  random,
  memory,
  link,
  network: /** @type {string | undefined} */ (memory['?' + link]),
  learned: /** @type {Learned} */ ({ ...nothingLearned(), ...memory[memory['?' + link]] }),
  now: 0,
  /** @type {Map<number, Try>} */
  tries: new Map(),
  carrier: /** @type {Try | undefined} */ (undefined),
  fixed: /** @type {Transport | undefined} */ (undefined),
  /** The last that carried. */
  last: /** @type {Transport | undefined} */ (undefined),
  round: /** @type {Transport[]} */ ([]),
  roundWhy: '',
  replaces: false,
  nextAt: 0,
  /** Failed since something carried. @type {Set<Transport>} */
  failed: new Set(),
  /** Lives of carriers that were cut, newest first. @type {Partial<Record<Transport, import('./cuts.js').Life[]>>} */
  lives: {},
  changes: /** @type {number[]} */ ([]),
  calmUntil: 0,
  retryAt: Infinity,
  checkAt: Infinity,
  hasChecked: false,
  upAt: Infinity,
  ups: 0,
  hiddenAt: 0,
  isOffline: false,
  paused: false,
  /** Rounds in a row in which all tries failed. */
  failures: 0,
  /** Carriers in a row that were cut soon. */
  cuts: 0,
  strangers: 0,
  silences: 0,
  rttMs: RTT_ASSUMED_MS,
  state: 'connecting',
  build: /** @type {string | undefined} */ (undefined),
  lastId: 0,
  wakeAt: Infinity,
  steps: /** @type {Step[]} */ ([]),
})
