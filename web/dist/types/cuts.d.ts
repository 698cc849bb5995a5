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
     * where it is not good: it failed while another got through, and is tried last until then
     */
    until?: number;
    /**
     * for so long, in ms
     */
    fade?: number;
    /**
     * ms that it must live before it carries again, once it has failed
     */
    trial?: number;
    /**
     * ms of silence, or else of age, at which it was cut the last time
     */
    cut?: number;
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
/** No timer cuts so soon, in ms: what ends sooner is being killed, and a shorter silence is no reason. */
export declare const TIMER_LEAST_MS = 2000;
/**
 * Two cuts alike name the cut. Only those count that were neither made by us nor announced.
 * @param {Transport} transport
 * @param {Known} known of it
 * @param {Known} polls what is known of polls: what cuts streams by age cuts them too
 * @param {number} age ms since it was opened
 * @param {number} idle ms since anything came
 * @param {number} gap longest idle time in ms that it outlived, or that is too short to say something
 * @returns {boolean | void} whether the transport is to be left
 */
export declare function learn(transport: Transport, known: Known, polls: Known, age: number, idle: number, gap: number): boolean | void;
