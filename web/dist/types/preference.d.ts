/**
 * Which transport is preferred: the application's order, its choice by hand, and what memory knows.
 * Pure; memory orders, and never forbids.
 */
export type Transport = import('./rungs.js').Transport;
export type Rung = import('./round.js').Rung;
export type Memory = import('./memory.js').Memory;
/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./round.js').Rung} Rung @typedef {import('./memory.js').Memory} Memory */
export declare class Preference {
    allowed: import("./rungs.js").Transport[];
    /** Best first. @type {Transport[]} */
    transports: Transport[];
    /** @param {Transport[]} allowed the order is the preference */
    constructor(allowed: Transport[]);
    /** The application chose a transport. @param {Transport | 'auto'} [transport] */
    choose(transport?: Transport | 'auto'): void;
    /** 0 is the best; short polls are the last of all. @param {{transport: Transport, isShort: boolean}} attempt */
    rank({ transport, isShort }: {
        transport: Transport;
        isShort: boolean;
    }): number;
    /** What is better than this rank. @param {number} rank @returns {Rung[]} */
    above(rank: number): Rung[];
    /** Those that may be left. */
    get allButLast(): import("./rungs.js").Transport[];
    get last(): import("./rungs.js").Transport;
    get isSingle(): boolean;
    /** What to try, in order. @param {Memory} memory @param {number} now @param {Transport} [first] @returns {Rung[]} */
    order(memory: Memory, now: number, first?: Transport): Rung[];
}
