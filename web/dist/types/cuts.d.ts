/**
 * What is learned of one network, by transport: whether it fails there, and when it is cut.
 * Pure, and plain data throughout, so that it can be kept from one page to the next. Knows no ladder.
 */
export type Transport = 'ws' | 'sse' | 'poll';
export type Known = {
    /**
     * it carried here, and is taken at its word until then
     */
    good?: number;
    /**
     * it failed while another got through, and is tried last until then
     */
    until?: number;
    /**
     * that it failed so
     */
    times?: number;
    /**
     * ms that it must live before it is trusted again
     */
    trial?: number;
    /**
     * heartbeat in seconds that outruns an idle cut
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
};
export type Learned = Partial<Record<Transport, Known>>;
export type Life = {
    /**
     * ms since it was opened
     */
    age: number;
    /**
     * ms since anything came
     */
    idle: number;
    /**
     * longest idle time in ms that it outlived
     */
    gap: number;
    /**
     * ms since it was proven
     */
    proven: number;
};
/** Held by the hub where nothing else was asked, in seconds. */
export declare const WAIT_S = 25;
/**
 * Two cuts alike name the cut.
 * @param {Transport} transport
 * @param {Known} known of it
 * @param {Known} polls what is known of polls: what cuts streams by age cuts them too
 * @param {Life[]} lives the last three of that transport, newest first
 * @returns {boolean | void} whether the transport is to be left
 */
export declare function learn(transport: Transport, known: Known, polls: Known, lives: Life[]): boolean | void;
