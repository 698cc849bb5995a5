/**
 * A round: what is still to be tried, why, and when the next of it is tried next to the one before.
 * Pure; opens nothing itself.
 */
export type Transport = import('./rungs.js').Transport;
export type Attempt = import('./attempt.js').Attempt;
export type RoundTrip = import('./round-trip.js').RoundTrip;
export type Rung = Transport | 'short' | 'check';
export declare class Round {
    /** Why it began. */
    cause: string;
    /** Why the next attempt is made. */
    why: string;
    /** What is left of it. @type {Rung[]} */
    rungs: Rung[];
    /** Its attempts replace the carrier. */
    replaces: boolean;
    /** It pauses until then. */
    pausedUntil: number;
    /** A check is under way. */
    isChecking: boolean;
    /** The next is tried next to this attempt. @type {Attempt | undefined} */
    hedged: Attempt | undefined;
    /** Streams that were tried again because their first ping was merged with hello. */
    mergedRetries: number;
    /** @param {string} why @param {Rung[]} rungs @param {boolean} replaces @param {number} now */
    begin(why: string, rungs: Rung[], replaces: boolean, now: number): void;
    /** Nothing gets through: what comes next, after a pause. @param {Rung[]} rungs @param {number} until */
    pause(rungs: Rung[], until: number): void;
    end(): void;
    /** Nothing is tried before a check has found the hub. */
    awaitCheck(): void;
    /** An attempt is over. @param {Attempt} attempt */
    forget(attempt: Attempt): void;
    /** An attempt was opened. @param {Attempt} attempt @param {number} pausedUntil */
    open(attempt: Attempt, pausedUntil: number): void;
    /** A check is made, and repeated if there is no answer. @param {number} now */
    check(now: number): void;
    /** When the next is tried next to the one before it. @param {RoundTrip} roundTrip */
    hedgeAt({ isNear }: RoundTrip): number;
    toJSON(): this & {
        hedged: number | undefined;
    };
}
