/**
 * What is learned of one network: which transports fail on it, and when it cuts them.
 * Pure, and plain data throughout, so that it can be kept from one page to the next. Knows no ladder.
 */
export type Transport = 'ws' | 'sse' | 'poll';
export type Learned = {
    /**
     * the last that carried
     */
    best?: Transport;
    bestAt?: number;
    /**
     * failed while another got through
     */
    down: Partial<Record<Transport, {
        times: number;
        until: number;
    }>>;
    /**
     * heartbeat in seconds that outruns an idle cut
     */
    beat: Partial<Record<Transport, number>>;
    /**
     * in ms at which it is cut, whatever is sent
     */
    age: Partial<Record<Transport, number>>;
    /**
     * ms that it must live before it is trusted again
     */
    trial: Partial<Record<Transport, number>>;
    /**
     * 1 where silent polls are cut
     */
    early?: number;
    /**
     * seconds that a poll may be held
     */
    wait?: number;
};
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
/** @returns {Learned} */
export declare const nothingLearned: () => Learned;
/**
 * Orders the tries; never forbids one.
 * @param {Transport[]} transports by preference
 * @param {Learned} learned
 * @param {number} now
 */
export declare function ranked(transports: Transport[], { down }: Learned, now: number): Transport[];
/** It failed where another got through, if it carried at all at this age. @param {Learned} learned @param {Transport} transport @param {number} now @param {number} [ageMs] */
export declare function lower(learned: Learned, transport: Transport, now: number, ageMs?: number): void;
/** It got through. @param {Learned} learned @param {Transport} transport @param {number} now */
export declare function risen({ down }: Learned, transport: Transport, now: number): void;
/**
 * Two cuts alike name the cut.
 * @param {Learned} learned
 * @param {Transport} transport
 * @param {Life[]} lives of that transport, newest first
 * @returns {boolean} whether the transport is to be left
 */
export declare function learn(learned: Learned, transport: Transport, [last, before, third]: Life[]): boolean;
