/**
 * The ladder's words: what it keeps of a try, the facts that it is told, and the steps that it takes.
 * What follows from what is in ladder.js.
 */
export type Transport = import('./cuts.js').Transport;
export type Try = {
    id: number;
    transport: Transport;
    why: string;
    openedAt: number;
    /**
     * when it was last heard
     */
    frameAt: number;
    helloAt: number;
    provenAt: number;
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
     * late events in a row
     */
    slow: number;
    /**
     * counted as failed, though a late proof is still welcome
     */
    failed?: boolean;
    /**
     * why
     */
    suspect?: string;
    pinged?: boolean;
};
export type Step = {
    do: 'open';
    id: number;
    transport: Transport;
    why: string;
    beat?: number;
    wait?: number;
    early?: number;
} | {
    do: 'close';
    id: number;
} | {
    do: 'carry';
    id: number;
    why: string;
} | {
    do: 'failed';
    id: number;
    why?: string;
} | {
    do: 'state';
    state: string;
    why: string;
} | {
    do: 'check';
};
export type FactType = 'start' | 'tick' | 'rtt' | 'use' | 'reopen' | 'hello' | 'frame' | 'proof' | 'mute' | 'ended' | 'checked' | 'offline' | 'online' | 'hidden' | 'visible' | 'pause' | 'blocked';
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
    ok?: boolean;
};
export type Ladder = {
    see: (now: number, type: FactType, fact?: Fact) => Step[];
    /**
     * when to tell it a `tick` if nothing happens
     */
    wakeAt: number;
    tries: Map<number, Try>;
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
 * @typedef {object} Try one attach of one transport
 * @property {number} id
 * @property {Transport} transport
 * @property {string} why
 * @property {number} openedAt
 * @property {number} frameAt when it was last heard
 * @property {number} helloAt
 * @property {number} provenAt
 * @property {number} renewAt when its successor is due, before it is cut
 * @property {number} silentMs after which it is suspect
 * @property {number} gap longest silence so far, in ms
 * @property {number} slow late events in a row
 * @property {boolean} [failed] counted as failed, though a late proof is still welcome
 * @property {string} [suspect] why
 * @property {boolean} [pinged]
 *
 * @typedef {{do: 'open', id: number, transport: Transport, why: string, beat?: number, wait?: number, early?: number}
 *   | {do: 'close', id: number} | {do: 'carry', id: number, why: string}
 *   | {do: 'failed', id: number, why?: string} | {do: 'state', state: string, why: string} | {do: 'check'}} Step
 *
 * @typedef {'start' | 'tick' | 'rtt' | 'use' | 'reopen' | 'hello' | 'frame' | 'proof' | 'mute' | 'ended' | 'checked'
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
 * @property {boolean} [ok]
 *
 * @typedef {object} Ladder
 * @property {(now: number, type: FactType, fact?: Fact) => Step[]} see
 * @property {number} wakeAt when to tell it a `tick` if nothing happens
 * @property {Map<number, Try>} tries
 * @property {import('./cuts.js').Learned} learned of this network
 * @property {Record<string, any>} memory what a later ladder may begin with
 */
export {};
