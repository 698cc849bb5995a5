/**
 * What is known of each network: which transport got through, which failed and for how long that is
 * remembered, and what its cuts taught. Plain data, so that it can be kept from one page to the next.
 * Pure; decides no order and knows no attempt.
 */
export type Transport = import('./rungs.js').Transport;
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
     * how often it failed like that
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
     * 1 if silent polls are cut
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
export declare class Memory {
    #private;
    records: Record<string, any>;
    networkType: string;
    /** The tag of the network, once it is known. @type {string | undefined} */
    network: string | undefined;
    /** Of this network. @type {Learned} */
    learned: Learned;
    /** Something changed since the last `save`. */
    isChanged: boolean;
    /** @param {Record<string, any>} records as an earlier page left them @param {string} networkType the type of the network, as the platform reports it; used until the hub names the network */
    constructor(records: Record<string, any>, networkType: string);
    /**
     * The hub named the network.
     * @param {string} network
     * @returns {boolean} whether it is another one than before
     */
    enter(network: string): boolean;
    /** @param {Transport} transport @returns {Known} to be changed in place */
    known(transport: Transport): Known;
    /** @param {Transport} transport @param {number} now */
    isFailing(transport: Transport, now: number): boolean;
    /** Whether its hello is proof enough. @param {Transport} transport @param {number} now */
    isTrusted(transport: Transport, now: number): boolean;
    /** @param {number} now */
    hasShortPolls(now: number): boolean;
    /** It carries. @param {Transport} transport @param {number} now */
    succeed(transport: Transport, now: number): void;
    /** It failed where another transport got through. @param {Transport} transport @param {number} now @param {number} [ageMs] at which, if it carried at all */
    fail(transport: Transport, now: number, ageMs?: number): void;
    /** Held polls do not get through here. @param {number} now @param {number} ageMs at which they failed */
    shorten(now: number, ageMs: number): void;
    /** Held polls carry again. */
    lengthen(): void;
    /** Stores what was learned under the network's tag. @returns {boolean} whether anything changed since the last call */
    save(): boolean;
}
