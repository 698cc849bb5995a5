/**
 * The attempts that are under way, the carrier among them, and the rules by which they are opened,
 * judged, carried and closed. Pure: it returns no value to act on, but collects steps.
 *
 * An attempt ends in one of four ways: it carries; it fails (`failed`), after which a late proof is
 * still welcome until it is closed; it is closed because another one carries or a new round begins;
 * or it ends by itself. The carrier is left only when its successor carries, unless it ended or
 * starves the page. Knows rounds, memory and cuts, but no fact: ladder.js turns facts into calls.
 */
import { Attempt } from './attempt.js';
import { Clock } from './clock.js';
import { Outage } from './outage.js';
import { Preference } from './preference.js';
import { Round } from './round.js';
import { RoundTrip } from './round-trip.js';
export type Transport = import('./rungs.js').Transport;
export type Step = import('./rungs.js').Step;
export type OpenStep = import('./rungs.js').OpenStep;
export type Fact = import('./rungs.js').Fact;
export type Rung = import('./round.js').Rung;
export type Memory = import('./memory.js').Memory;
export declare class Attempts {
    #private;
    preference: Preference;
    outage: Outage;
    memory: import("./memory.js").Memory;
    /** @type {Attempt | undefined} */
    carrier: Attempt | undefined;
    /** The transport that carried last. @type {Transport | undefined} */
    last: Transport | undefined;
    clock: Clock;
    round: Round;
    roundTrip: RoundTrip;
    /** The way back up, and what cuts teach, once that part is loaded. @type {import('./adaptation.js').Adaptation | undefined} */
    adaptation: import('./adaptation.js').Adaptation | undefined;
    /** Ends of carriers before that part was loaded: it learns from them, too. @type {{transport: Transport, life: import('./cuts.js').Life}[]} */
    unlearned: {
        transport: Transport;
        life: import('./cuts.js').Life;
    }[];
    /** What is to be done. @type {Step[]} */
    steps: Step[];
    /** Tried since something carried, with the age at which it became suspect or 0. @type {Map<Transport, number>} */
    tried: Map<Transport, number>;
    /** Requests left to measure the round trip. */
    measures: number;
    /** WebSockets that fell silent: the first one is tried again. */
    silences: number;
    lastId: number;
    /** @param {Transport[]} transports @param {() => number} random @param {Memory} memory */
    constructor(transports: Transport[], random: () => number, memory: Memory);
    get now(): number;
    get climb(): import("./climb.js").Climb | undefined;
    get size(): number;
    /** @param {number} [id] */
    get(id?: number): Attempt | undefined;
    /** It ended by itself. @param {Attempt} attempt */
    delete(attempt: Attempt): void;
    toJSON(): Omit<this, "adapt" | "all" | "begin" | "carrier" | "climb" | "close" | "delete" | "dropCarrier" | "fail" | "get" | "isBetter" | "isClimbing" | "isTrying" | "learn" | "memory" | "now" | "order" | "pauseRound" | "replace" | "retryMerged" | "settle" | "size" | "startMeasuring" | "steps" | "suspect" | "toJSON" | "tried" | "tryBetter" | "unlearned"> & {
        carrier: number | undefined;
        tried: [import("./rungs.js").Transport, number][];
        attempts: Attempt[];
    };
    /** @param {number} at by the page's clock */
    begin(at: number): void;
    /** Does what time brings. Each thing may cause another, or bring the next moment nearer: until nothing is left. */
    settle(): void;
    /** Whether it would take over from a worse transport that works. @param {Attempt} attempt */
    isBetter(attempt: Attempt): boolean;
    all(): Attempt[];
    /** Whether an attempt is under way that has not failed. */
    isTrying(): boolean;
    /** Whether something better than the carrier is under way. */
    isClimbing(): boolean;
    /** @param {Transport} [first] */
    order(first?: Transport): import("./round.js").Rung[];
    /** A new round instead of what was under way. @param {string} why @param {Rung[]} [rungs] @param {boolean} [replaces] the carrier */
    replace(why: string, rungs?: Rung[], replaces?: boolean): void;
    /** What is better than the carrier is tried next to it. @param {string} why */
    tryBetter(why: string): void;
    /** A ping that came in one piece with hello proves nothing: the stream may be held, or the page was busy. Attached again, it is probed at once. @param {Attempt} attempt */
    retryMerged(attempt: Attempt): void;
    /** With a single transport nothing is compared, so nothing depends on the round trip. */
    startMeasuring(): void;
    /** The part for the time after the first connection was loaded. The current carrier may not be the best transport. @param {import('./adaptation.js').Adaptation} adaptation */
    adapt(adaptation: import('./adaptation.js').Adaptation): void;
    /** @param {Attempt} attempt */
    close(attempt: Attempt): void;
    /** Nothing carries. */
    dropCarrier(): void;
    /** An attempt did not get to carry. @param {Attempt} attempt @param {string} cause @param {Fact} [fact] */
    fail(attempt: Attempt, cause: string, { afterMs, foreign, planned }?: Fact): void;
    /** Nothing gets through, or the hub said when to come back. The next carrier may not be the best one, so better transports are tried soon. @param {number} [ms] */
    pauseRound(ms?: number): void;
    /** Learns from the end of a carrier. @param {Attempt} attempt */
    learn(attempt: Attempt): import("./cuts.js").Lesson;
    /** The carrier may be dead or held: others are tried next to it. @param {string} cause */
    suspect(cause: string): void;
}
/** @param {Attempt} attempt @returns {Rung} */
export declare const rungOf: ({ transport, isShort }: Attempt) => Rung;
