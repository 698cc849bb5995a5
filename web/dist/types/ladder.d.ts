export { newLadder } from './rungs.js';
export type Transport = import('./cuts.js').Transport;
export type Learned = import('./cuts.js').Learned;
export type Ladder = import('./rungs.js').Ladder;
export type Try = import('./rungs.js').Try;
export type See = import('./rungs.js').See;
export type Fact = import('./rungs.js').Fact;
export type Step = import('./rungs.js').Step;
/**
 * @param {Ladder} ladder
 * @param {number} now in ms
 * @param {keyof typeof facts} type
 * @param {Fact} [fact]
 * @returns {Step[]}
 */
export declare function see(ladder: Ladder, now: number, type: keyof typeof facts, fact?: Fact): Step[];
declare const facts: {
    /** @type {See} */
    start: See;
    tick(): void;
    /** @type {See} */
    rtt: See;
    use(ladder: import("./rungs.js").Ladder, fact: import("./rungs.js").Fact, one: import("./rungs.js").Try): any;
    /** Another list of channels: the same transport, attached anew beside the old one. @type {See} */
    reopen: See;
    hello(ladder: import("./rungs.js").Ladder, fact: import("./rungs.js").Fact, one: import("./rungs.js").Try): any;
    frame(ladder: import("./rungs.js").Ladder, fact: import("./rungs.js").Fact, one: import("./rungs.js").Try): any;
    /** The hub answered what only it can, to us. @type {See} */
    proof: See;
    /** A command went unanswered. @type {See} */
    mute: See;
    ended: typeof ended;
    checked: typeof checked;
    /** @type {See} */
    offline: See;
    online(ladder: import("./rungs.js").Ladder, fact: import("./rungs.js").Fact, one: import("./rungs.js").Try): any;
    /** @type {See} */
    hidden: See;
    visible(ladder: import("./rungs.js").Ladder, fact: import("./rungs.js").Fact, one: import("./rungs.js").Try): any;
    pause(ladder: import("./rungs.js").Ladder, fact: import("./rungs.js").Fact, one: import("./rungs.js").Try): any;
    /** Publishes find no way: on WS they would. @type {See} */
    blocked: See;
};
/** @type {See} */
declare function ended(ladder: {
    transports: import("./cuts.js").Transport[];
    random: () => number;
    memory: Record<string, any>;
    link: string;
    network: string | undefined;
    learned: import("./rungs.js").Learned;
    now: number;
    tries: Map<number, import("./rungs.js").Try>;
    carrier: import("./rungs.js").Try | undefined;
    fixed: import("./rungs.js").Transport | undefined;
    last: import("./rungs.js").Transport | undefined;
    round: import("./rungs.js").Transport[];
    roundWhy: string;
    replaces: boolean;
    nextAt: number;
    failed: Set<import("./rungs.js").Transport>;
    lives: Partial<Record<import("./rungs.js").Transport, import('./cuts.js').Life[]>>;
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
    failures: number;
    cuts: number;
    strangers: number;
    silences: number;
    rttMs: number;
    state: string;
    build: string | undefined;
    lastId: number;
    wakeAt: number;
    steps: import("./rungs.js").Step[];
}, { why, afterMs, planned, foreign }: import("./rungs.js").Fact, one: import("./rungs.js").Try): any;
/** What the look for the hub found. @type {See} */
declare function checked(ladder: {
    transports: import("./cuts.js").Transport[];
    random: () => number;
    memory: Record<string, any>;
    link: string;
    network: string | undefined;
    learned: import("./rungs.js").Learned;
    now: number;
    tries: Map<number, import("./rungs.js").Try>;
    carrier: import("./rungs.js").Try | undefined;
    fixed: import("./rungs.js").Transport | undefined;
    last: import("./rungs.js").Transport | undefined;
    round: import("./rungs.js").Transport[];
    roundWhy: string;
    replaces: boolean;
    nextAt: number;
    failed: Set<import("./rungs.js").Transport>;
    lives: Partial<Record<import("./rungs.js").Transport, import('./cuts.js').Life[]>>;
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
    failures: number;
    cuts: number;
    strangers: number;
    silences: number;
    rttMs: number;
    state: string;
    build: string | undefined;
    lastId: number;
    wakeAt: number;
    steps: import("./rungs.js").Step[];
}, { ok, foreign }: import("./rungs.js").Fact): any;
