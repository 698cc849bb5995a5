/**
 * One attempt: one attachment of one transport, and what was observed of it. Judges by its own
 * frames whether it is proven, late, silent or held. Knows no other attempt and no order.
 */
/** @typedef {import('./rungs.js').Transport} Transport @typedef {import('./memory.js').Known} Known @typedef {import('./cuts.js').Life} Life */
/** @typedef {import('./rungs.js').OpenStep} OpenStep @typedef {import('./rungs.js').Fact} Fact @typedef {import('./round-trip.js').RoundTrip} RoundTrip */
export type Transport = import('./rungs.js').Transport;
export type Known = import('./memory.js').Known;
export type Life = import('./cuts.js').Life;
export type OpenStep = import('./rungs.js').OpenStep;
export type Fact = import('./rungs.js').Fact;
export type RoundTrip = import('./round-trip.js').RoundTrip;
export declare class Attempt {
    #private;
    id: number;
    transport: import("./rungs.js").Transport;
    why: string;
    pause: number | undefined;
    roundTrip: import("./round-trip.js").RoundTrip;
    isOnly: boolean;
    openedAt: number;
    frameAt: number;
    renewAt: number;
    /** Silence after which it is suspect, in ms. */
    silentMs: number;
    /** When it was proven: a WS by the reply to its ping, a stream by the lone ping, a poll by its answer. */
    provenAt: number;
    helloAt: number;
    /** When the lone ping arrived. */
    loneAt: number;
    /** When such a ping arrived, and was not late by the clock of other attempts either. */
    punctualAt: number;
    /** A frame came later than that: it may have waited for the next one. */
    hasLagged: boolean;
    /** The last event or gap since the last ping. */
    eventAt: number;
    /** When a gateway that cannot reach the hub answered first, if this transport carried last. */
    awayAt: number;
    /** When the last frame arrived that says when it was sent, how late it was, and how many in a row were pushed by the next. */
    timedAt: number;
    timedLateMs: number;
    pushed: number;
    /** When a lone frame was found missing. */
    missedAt: number;
    /** Any ping arrived. */
    wasPinged: boolean;
    /** Its first ping came in one piece with hello. */
    isMerged: boolean;
    /** The hub sends lone pings after hello and after events. */
    hasProbes: boolean;
    /** Longest silence so far, in ms. */
    gapMs: number;
    /** Late events in a row. */
    lateEvents: number;
    lateAt: number;
    /** It counted as failed, though a late proof is still welcome. */
    hasFailed: boolean;
    /** Why it is suspect, while it is. */
    suspect: string;
    /** @param {OpenStep} step @param {number} now @param {Known} known @param {RoundTrip} roundTrip @param {boolean} isOnly no other transport is allowed */
    constructor({ id, transport, why, wait, pause }: OpenStep, now: number, known: Known, roundTrip: RoundTrip, isOnly: boolean);
    /** Whether it is a chain of short polls. */
    get isShort(): boolean;
    get isStream(): boolean;
    /** @param {number} now @param {Fact} fact */
    observeHello(now: number, { beat, probes }: Fact): void;
    /**
     * A frame, or the head of an answer, arrived.
     * @param {number} now @param {Fact} fact @param {number} lateMs by the hub's clock
     * @returns {'slow' | 'held' | undefined} a cause for suspicion
     */
    observeFrame(now: number, { ping, event, time }: Fact, lateMs: number): 'slow' | 'held' | undefined;
    /**
     * The hub answered what only it can answer, to this attempt.
     * @param {number} now
     * @param {number} ms that the reply to a ping took
     * @param {boolean} isBetter it would take over from a carrier that works: a path that delays each frame until the next one delays this reply too
     */
    observeProof(now: number, ms: number, isBetter: boolean): void;
    /** Its hello is taken as proof, until its lone ping must have arrived. @param {number} now */
    trust(now: number): void;
    /** @param {number} now */
    isSilent(now: number): boolean;
    /**
     * When a single frame that the hub sent, and that nothing follows, must have arrived: the lone ping
     * after hello, or the one after an event.
     * @param {boolean} isHidden events of a hidden page may wait for it
     * @returns {number} `Infinity` if no such frame is expected
     */
    heldAt(isHidden: boolean): number;
    /** Nothing better was found than this suspect: its evidence is collected again. */
    clearSuspicion(): void;
    /** When it should be proven, judged by how far away the hub is. Until then a worse transport waits for it. */
    get proofExpectedAt(): number;
    /** When it counts as failed, or once it has, when it is closed. */
    get unprovenAt(): number;
    /** @param {number} now */
    isOverdue(now: number): boolean;
    /** Its end, as a life to learn from. @param {number} now @returns {Life} */
    life(now: number): Life;
    toJSON(): Omit<this, "clearSuspicion" | "heldAt" | "isOverdue" | "isShort" | "isSilent" | "isStream" | "life" | "observeFrame" | "observeHello" | "observeProof" | "proofExpectedAt" | "roundTrip" | "toJSON" | "trust" | "unprovenAt">;
}
