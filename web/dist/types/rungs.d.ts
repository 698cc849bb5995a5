/**
 * The ladder's words: what it keeps of a try, the facts that it is told, and the steps that it takes.
 * What follows from what is in ladder.js.
 */
export type Transport = import('./cuts.js').Transport;
export type Trial = {
    id: number;
    transport: Transport;
    why: string;
    openedAt: number;
    /**
     * when it was last heard
     */
    frameAt: number;
    helloAt: number;
    provenAt?: number;
    /**
     * when its successor is due, before it is cut
     */
    renewAt: number;
    /**
     * after which it is suspect
     */
    silentMs: number;
    /**
     * longest silence so far, in ms
     */
    gap: number;
    /**
     * why it counts as failed, though a late proof is still welcome; of a carrier why it is suspect
     */
    failed?: string;
};
export type Try = Trial & import('./cuts.js').Known;
export type Step = (import('./cuts.js').Known & {
    do: 'open';
    id: number;
    transport: Transport;
    why: string;
}) | {
    do: 'close';
    id: number;
} | {
    do: 'carry';
    id: number;
} | {
    do: 'failed';
    id: number;
    why: string;
} | {
    do: 'state';
    state: string;
    why: string;
};
export type FactType = 'start' | 'tick' | 'rtt' | 'use' | 'reopen' | 'hello' | 'frame' | 'proof' | 'mute' | 'ended' | 'offline' | 'online' | 'hidden' | 'visible' | 'pause' | 'blocked';
export type Fact = {
    /**
     * of the try
     */
    id?: number;
    why?: string;
    ms?: number;
    transport?: Transport | 'auto';
    /**
     * seconds
     */
    beat?: number;
    network?: string;
    build?: string;
    ping?: boolean;
    /**
     * the hub's
     */
    time?: number;
    /**
     * not before, by the hub's word
     */
    afterMs?: number;
    /**
     * not the way's fault
     */
    planned?: boolean;
    /**
     * not the hub answered
     */
    foreign?: boolean;
};
export type Ladder = {
    see: (now: number, type: FactType, fact?: Fact) => Step[];
    /**
     * when to tell it a `tick` if nothing happens
     */
    wakeAt: number;
    /**
     * of this network
     */
    learned: import('./cuts.js').Learned;
    /**
     * what a later ladder may begin with
     */
    memory: Record<string, any>;
};
/** @typedef {import('./cuts.js').Transport} Transport */
/**
 * @typedef {object} Trial what is kept of one attach of one transport
 * @property {number} id
 * @property {Transport} transport
 * @property {string} why
 * @property {number} openedAt
 * @property {number} frameAt when it was last heard
 * @property {number} helloAt
 * @property {number} [provenAt]
 * @property {number} renewAt when its successor is due, before it is cut
 * @property {number} silentMs after which it is suspect
 * @property {number} gap longest silence so far, in ms
 * @property {string} [failed] why it counts as failed, though a late proof is still welcome; of a carrier why it is suspect
 * @typedef {Trial & import('./cuts.js').Known} Try it, with what was known when it was opened
 *
 * @typedef {import('./cuts.js').Known & {do: 'open', id: number, transport: Transport, why: string}
 *   | {do: 'close', id: number} | {do: 'carry', id: number}
 *   | {do: 'failed', id: number, why: string} | {do: 'state', state: string, why: string}} Step
 *
 * @typedef {'start' | 'tick' | 'rtt' | 'use' | 'reopen' | 'hello' | 'frame' | 'proof' | 'mute' | 'ended'
 *   | 'offline' | 'online' | 'hidden' | 'visible' | 'pause' | 'blocked'} FactType
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
 *
 * @typedef {object} Ladder
 * @property {(now: number, type: FactType, fact?: Fact) => Step[]} see
 * @property {number} wakeAt when to tell it a `tick` if nothing happens
 * @property {import('./cuts.js').Learned} learned of this network
 * @property {Record<string, any>} memory what a later ladder may begin with
 */
export {};
