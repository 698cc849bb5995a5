export type Transport = import('./cuts.js').Transport;
export type Learned = import('./cuts.js').Learned;
export type Try = {
    id: number;
    transport: Transport;
    why: string;
    openedAt: number;
    /**
     * when it was last heard
     */
    frameAt: number;
    /**
     * longest silence so far, in ms
     */
    gap: number;
    /**
     * after which it is suspect
     */
    silentMs: number;
    helloAt: number;
    provenAt: number;
    /**
     * counted as failed, though a late proof is still welcome
     */
    failed?: boolean;
    /**
     * takes over when proven, whatever the carrier is
     */
    replaces?: boolean;
    /**
     * why
     */
    suspect?: string;
    /**
     * its successor was planned
     */
    renewed?: boolean;
    beatMs: number;
    /**
     * the hub's time of its first ping: what is older was replayed
     */
    fromTime?: number;
    /**
     * least difference of clocks seen, in ms
     */
    skew: number;
    /**
     * late events in a row
     */
    slow: number;
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
    why: string;
} | {
    do: 'state';
    state: string;
    why: string;
} | {
    do: 'check';
} | {
    do: 'keep';
};
export type See = (ladder: Ladder, fact: Fact, one: Try) => any;
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
export type Ladder = ReturnType<typeof newLadder>;
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
export declare const newLadder: (transports: Transport[], random: () => number, memory?: Record<string, any>, link?: string) => {
    transports: import("./cuts.js").Transport[];
    random: () => number;
    memory: Record<string, any>;
    link: string;
    network: string | undefined;
    learned: Learned;
    now: number;
    /** @type {Map<number, Try>} */
    tries: Map<number, Try>;
    carrier: Try | undefined;
    fixed: Transport | undefined;
    /** The last that carried. */
    last: Transport | undefined;
    round: Transport[];
    roundWhy: string;
    replaces: boolean;
    nextAt: number;
    /** Failed since something carried. @type {Set<Transport>} */
    failed: Set<Transport>;
    /** Lives of carriers that were cut, newest first. @type {Partial<Record<Transport, import('./cuts.js').Life[]>>} */
    lives: Partial<Record<Transport, import('./cuts.js').Life[]>>;
    changes: number[];
    calmUntil: number;
    retryAt: number;
    checkAt: number;
    hasChecked: boolean;
    upAt: number;
    ups: number;
    hiddenAt: number;
    isOffline: boolean;
    paused: boolean;
    /** Rounds in a row in which all tries failed. */
    failures: number;
    /** Carriers in a row that were cut soon. */
    cuts: number;
    strangers: number;
    silences: number;
    rttMs: number;
    state: string;
    build: string | undefined;
    lastId: number;
    wakeAt: number;
    steps: Step[];
};
