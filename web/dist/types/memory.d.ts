/**
 * What is known of each network: which transport got through, which failed and for how long that is
 * remembered, and what its cuts taught. Plain data, so that it can be kept from one page to the next.
 * Pure; decides no order and knows no attempt.
 */
export type Transport = import('./cuts.js').Transport;
export type Known = import('./cuts.js').Known;
export type Learned = import('./cuts.js').Learned;
export declare class Memory {
    #private;
    records: Record<string, any>;
    link: string;
    /** The tag of the network, once it is known. @type {string | undefined} */
    network: string | undefined;
    /** Of this network. @type {Learned} */
    learned: Learned;
    /** Something changed since it was last asked. */
    isChanged: boolean;
    /** @param {Record<string, any>} records as an earlier page left them @param {string} link what the platform says of the network, before the hub names it */
    constructor(records: Record<string, any>, link: string);
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
