/**
 * The round-trip time, as far as it is known. Each answered request is an upper bound: it may have
 * needed a connection, name lookup or a token first. So the least of the recent ones counts.
 * Pure; knows no request.
 */
/** The hub is near if an upper bound of the round trip is at most this, in ms: a new TLS connection takes three round trips. */
export declare const NEAR_MS = 360;
export declare class RoundTrip {
    /** Newest first, in ms. @type {number[]} */
    samples: number[];
    /** What the last request took that the hub answers at once, in ms: what a busy network takes now. */
    latestMs: number;
    /** A request that the hub answers at once took this time. @param {number} ms */
    observe(ms: number): void;
    /** What the hub needs beyond the round trip to accept an attachment, in ms: a slow token check, for example. */
    workMs: number;
    /** An attachment showed its first sign after this time. @param {number} ms */
    observeSign(ms: number): void;
    /** Something that takes at least a round trip took this time. @param {number} ms */
    limit(ms: number): void;
    /** Forgets everything: the network may be another one. */
    reset(): void;
    get isKnown(): boolean;
    /** The best estimate, in ms. */
    get ms(): number;
    get isNear(): boolean;
    /** Whether a second request, on the connection that is warm now, would show more. */
    get isCold(): boolean;
}
