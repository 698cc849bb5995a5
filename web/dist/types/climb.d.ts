/**
 * The way back up: when the transports that are better than the carrier are tried again, and when
 * changing between them has become flapping. Pure; opens nothing.
 */
export declare class Climb {
    /** When the next attempt at something better is planned; 0 while nothing is better. */
    at: number;
    /** But not before. */
    notBefore: number;
    /** Why the next one begins. */
    why: string;
    /** Climbs since the best transport carried. */
    count: number;
    /** When the transport changed, newest first. @type {number[]} */
    changes: number[];
    get nextAt(): number;
    /** Something is better than the carrier. @param {number} now */
    plan(now: number): void;
    /** The carrier is the best. */
    cancel(): void;
    /** Something better may work now. @param {number} now */
    planNow(now: number): void;
    /** The same, if anything is better. @param {number} now @param {string} [why] */
    advance(now: number, why?: string): void;
    /** No connection was left to send. @param {number} now */
    postpone(now: number): void;
    /** A climb begins now; plans the next one. @param {number} now @returns {string} why it begins */
    begin(now: number): string;
    /** The transport changed. @param {number} now @returns {boolean} whether it changes all the time */
    isFlapping(now: number): boolean;
}
