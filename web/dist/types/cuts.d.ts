/**
 * What cuts teach: two cuts that are alike show the kind of cut, and the kind has a remedy. Pure. Gets how a
 * carrier ended, and changes what is known of its transport. Knows no ladder.
 */
export type Transport = import('./rungs.js').Transport;
export type Known = import('./memory.js').Known;
export type Life = {
    /**
     * since it was opened
     */
    ageMs: number;
    /**
     * since anything arrived
     */
    idleMs: number;
    /**
     * longest idle time that it survived
     */
    gapMs: number;
    /**
     * since it was proven
     */
    provenMs: number;
};
export type Lesson = {
    /**
     * the cut, if two were alike
     */
    cause?: 'killed' | 'idle' | 'age';
    /**
     * the transport should be left
     */
    isLeft?: boolean;
    /**
     * polls should be short
     */
    isShort?: boolean;
};
export declare class Cuts {
    /** Of each transport, newest first. @type {Partial<Record<Transport, Life[]>>} */
    lives: Partial<Record<Transport, Life[]>>;
    /** Forgets the lives: their ends were no cuts. */
    reset(): void;
    /**
     * Learns from the end of a carrier.
     * @param {Transport} transport
     * @param {Life} life
     * @param {(transport: Transport) => Known} known of each transport; changed in place
     * @returns {Lesson}
     */
    learn(transport: Transport, life: Life, known: (transport: Transport) => Known): Lesson;
}
