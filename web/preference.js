/**
 * Which transport is preferred: the application's order, its choice by hand, and what memory knows.
 * Pure; memory orders, and never forbids.
 */

/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./round.js').Rung} Rung @typedef {import('./memory.js').Memory} Memory */

export class Preference {
  /** Best first. @type {Transport[]} */
  transports

  /** @param {Transport[]} allowed the order is the preference */
  constructor(allowed) {
    this.allowed = allowed
    this.transports = allowed
  }

  /** The application chose a transport. @param {Transport | 'auto'} [transport] */
  choose(transport = 'auto') {
    this.transports = transport === 'auto' ? this.allowed : [transport, ...this.allowed.filter((other) => other !== transport)]
  }

  /** 0 is the best; short polls are the last of all. @param {{transport: Transport, isShort: boolean}} attempt */
  rank({ transport, isShort }) {
    return isShort ? this.transports.length : this.transports.indexOf(transport)
  }

  /** What is better than this rank. @param {number} rank @returns {Rung[]} */
  above(rank) {
    return this.transports.slice(0, rank)
  }

  /** Those that may be left. */
  get allButLast() {
    return this.transports.slice(0, -1)
  }

  get last() {
    return this.transports[this.transports.length - 1]
  }

  get isSingle() {
    return this.transports.length < 2
  }

  /** What to try, in order. @param {Memory} memory @param {number} now @param {Transport} [first] @returns {Rung[]} */
  order(memory, now, first) {
    const place = (/** @type {Transport} */ transport) => (transport === first ? 0 : memory.isFailing(transport, now) ? 2 : 1)
    const ordered = [...this.transports].sort((one, other) => place(one) - place(other))
    return ordered.map((transport) => (transport === 'poll' && memory.hasShortPolls(now) ? 'short' : transport))
  }
}
