/**
 * The ladder: what was seen, and when, decides what to try, and when.
 * Pure: the clock and randomness are arguments; knows no socket, no frame's content, no handle.
 * A *try* is one attach of one transport. The *carrier* is the proven try that carries the session.
 * Facts go in by `see`, steps come out; `wakeAt` says when to ask again if nothing happens.
 */
export type Transport = 'ws' | 'sse' | 'poll';
export type Try = {
    id: number;
    transport: Transport;
    why: string;
    openedAt: number;
    provenAt?: number;
    /**
     * counted as failed, though a late proof is still welcome
     */
    failed?: boolean;
    /**
     * takes over when proven, whatever the carrier is
     */
    replaces?: boolean;
};
export type Step = {
    do: 'open';
    id: number;
    transport: Transport;
    why: string;
} | {
    do: 'close';
    id: number;
} | {
    do: 'carry';
    id: number;
    transport: Transport;
    reason: string;
} | {
    do: 'state';
    state: string;
    reason: string;
};
export type Fact = {
    type: 'start' | 'tick' | 'reopen';
} | {
    type: 'use';
    transport: Transport | 'auto';
} | {
    type: 'proof';
    id: number;
} | {
    type: 'rtt';
    ms: number;
} | {
    type: 'end';
    id: number;
    reason: string;
    afterMs?: number;
    planned?: boolean;
};
/**
 * @typedef {'ws' | 'sse' | 'poll'} Transport
 * @typedef {object} Try
 * @property {number} id
 * @property {Transport} transport
 * @property {string} why
 * @property {number} openedAt
 * @property {number} [provenAt]
 * @property {boolean} [failed] counted as failed, though a late proof is still welcome
 * @property {boolean} [replaces] takes over when proven, whatever the carrier is
 * @typedef {{do: 'open', id: number, transport: Transport, why: string} | {do: 'close', id: number}
 *   | {do: 'carry', id: number, transport: Transport, reason: string}
 *   | {do: 'state', state: string, reason: string}} Step
 * @typedef {{type: 'start' | 'tick' | 'reopen'} | {type: 'use', transport: Transport | 'auto'}
 *   | {type: 'proof', id: number} | {type: 'rtt', ms: number}
 *   | {type: 'end', id: number, reason: string, afterMs?: number, planned?: boolean}} Fact
 */
export declare class Ladder {
    #private;
    transports_: Transport[];
    random_: () => number;
    wakeAt_: number;
    /** @param {{transports: Transport[], random: () => number}} options the order of transports is the preference */
    constructor({ transports, random }: {
        transports: Transport[];
        random: () => number;
    });
    /**
     * @param {Fact} fact
     * @param {number} now in ms
     * @returns {Step[]}
     */
    see(fact: Fact, now: number): Step[];
}
