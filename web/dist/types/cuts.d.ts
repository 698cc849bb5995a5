/**
 * What lifetimes teach: two cuts that are alike name the cut, and the cut names the remedy.
 * Pure. Knows no ladder: it is given how a carrier ended, and changes what is known of the transport.
 */
export type Transport = 'ws' | 'sse' | 'poll';
export type Known = {
    /**
     * it carried here; until this time its hello is proof enough
     */
    good?: number;
    /**
     * it failed while another transport got through; until this time it is tried last
     */
    until?: number;
    /**
     * how often it failed so
     */
    times?: number;
    /**
     * ms that it must live next to the carrier before it takes over
     */
    trial?: number;
    /**
     * heartbeat in seconds that prevents an idle cut
     */
    beat?: number;
    /**
     * in ms at which it is cut, whatever is sent
     */
    age?: number;
    /**
     * 1 where silent polls are cut
     */
    early?: number;
    /**
     * seconds that a poll may be held
     */
    wait?: number;
    /**
     * until this time polls are short
     */
    shortUntil?: number;
    /**
     * how often they had to be
     */
    shortTimes?: number;
};
export type Learned = Partial<Record<Transport, Known>>;
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
/** Seconds for which the hub holds a poll unless asked otherwise. */
export declare const WAIT_S = 25;
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
