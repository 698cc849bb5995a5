import { Channel } from './channel.js';
import { TriwayError } from './frame.js';
export { TriwayError, Channel };
export type Transport = import('./cuts.js').Transport;
export type Fact = import('./rungs.js').Fact;
export type Options = {
    /**
     * asked again when refused or expired
     */
    token?: string | (() => string | Promise<string>);
    /**
     * allowed; the order is a preference
     */
    transports?: Transport[];
    /**
     * shown in presence
     */
    info?: any;
    /**
     * closes the hub
     */
    signal?: AbortSignal;
    /**
     * seconds
     */
    heartbeat?: number;
    /**
     * one tab of this origin reads for all
     */
    share?: boolean;
    /**
     * where the platform has none, or another is wanted
     */
    fetch?: typeof globalThis.fetch;
    /**
     * the same
     */
    WebSocket?: any;
    /**
     * the same
     */
    EventSource?: any;
};
/** @param {string | URL} [address] of the hub @param {Options} [options] */
export declare const connect: (address?: string | URL, options?: Options) => Hub;
export declare class Hub extends EventTarget {
    /** Private events for this session and user. */
    inbox: Channel;
    /** @type {'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline' | 'closed'} */
    state: 'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline' | 'closed';
    /** @type {Transport | null} */
    transport: Transport | null;
    /** @type {{id: string} | null} */
    session: {
        id: string;
    } | null;
    /** Round-trip time in ms. @type {number | undefined} */
    rtt: number | undefined;
    /** Resolves with the first proven transport. @type {Promise<void>} */
    ready: Promise<void>;
    /** @param {string | URL} address @param {Options} options */
    constructor(address: string | URL, options: Options);
    /**
     * @param {string} name
     * @param {{since?: string, presence?: boolean}} [options]
     * @returns {Channel}
     */
    channel(name: string, options?: {
        since?: string;
        presence?: boolean;
    }): Channel;
    /** Changes the transport by hand, or back to the ladder's choice. @param {Transport | 'auto'} transport */
    use(transport: Transport | 'auto'): void;
    /** What was tried, seen and chosen, and why: data, and text by String(report). */
    report(): Promise<{
        state: string;
        transport: string | null;
        rtt: number | undefined;
        why: string;
        tries: any[];
        events: {
            at: number;
            what: string;
        }[];
        learned: Partial<Record<import("./cuts.js").Transport, import("./cuts.js").Known>>;
    }>;
    /** Ends everything; what waits to be sent is rejected. */
    close(): void;
}
