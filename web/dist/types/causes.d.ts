/**
 * Why a client left one transport for another, or tried the next one: the only list. A reason on the
 * wire is `TRANSPORT:CAUSE`, with TRANSPORT one of ws, sse and poll. `src/metrics.rs` counts by the
 * same list; a test compares the two.
 */
export declare const CAUSES: string[];
