/**
 * What is known while nothing carries: how often everything failed, whether the hub was found, and
 * how long to pause. Pure; opens nothing.
 */
export type Attempt = import('./attempt.js').Attempt;
/** @typedef {import('./attempt.js').Attempt} Attempt */
export declare class Outage {
    random: () => number;
    /** Rounds in a row in which nothing got through. */
    failures: number;
    /** Carriers in a row that were cut soon. */
    shortLives: number;
    /** How far apart attempts are, in ms: nothing at first, later never more than one request a second. */
    apartMs: number;
    /** A check found the hub since something carried, or this pause ends without one. */
    hasChecked: boolean;
    /** The last check found the hub. */
    isHubFound: boolean;
    /** The last check got no answer, or one of a gateway that cannot reach the hub: what is foreign is on the way, and no portal. */
    isHubAway: boolean;
    /** Something other than the hub answered. */
    isForeign: boolean;
    /** Nothing but that answers. */
    isCaptive: boolean;
    isOffline: boolean;
    /** @param {() => number} random */
    constructor(random: () => number);
    /** Something carries. */
    end(): void;
    /** Everything failed. @param {number} [ms] the pause that the hub asked for @returns {number} the pause, in ms */
    fail(ms?: number): number;
    /** A check found the hub. */
    find(): void;
    /** Never the least for many at once, or all would come back in the same moment. @param {number} times in a row */
    pauseMs(times: number): number;
    /** A carrier ended. @param {Attempt} carrier @param {number} now @param {boolean} isPlanned */
    observeLife({ transport, openedAt, frameAt, provenAt }: Attempt, now: number, isPlanned: boolean): void;
    /** The pause before the same transport again, in ms. */
    nextLifeMs(): number;
    toJSON(): Omit<this, "end" | "fail" | "find" | "nextLifeMs" | "observeLife" | "pauseMs" | "random" | "toJSON">;
}
