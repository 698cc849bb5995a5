/**
 * The hub as an application uses it: its state, its channels, and the calls on them. Reading is in
 * connection.js, publishing in outbox.js.
 */
import { Channel } from './channel.js';
import { TriwayError } from './error.js';
export { Channel, TriwayError };
export type Transport = import('./rungs.js').Transport;
export type ChannelEventMap = import('./channel.js').ChannelEventMap;
export type Received = import('./channel.js').Received;
export type Member = import('./channel.js').Member;
export type Published = import('./channel.js').Published;
export type Options = {
    /**
     * a function is called again before its token ends, and when its token was refused
     */
    token?: string | (() => string | Promise<string>);
    /**
     * of requests, as `fetch` takes it: `include` sends cookies to a hub of another origin
     */
    credentials?: 'omit' | 'same-origin' | 'include';
    /**
     * allowed; the order is a preference
     */
    transports?: Transport[];
    /**
     * JSON, base in presence
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
     * tabs of this origin share one connection. Where it is left out, they do so below WebSocket on HTTP/1.1, if hub, user and `info` are equal
     */
    share?: boolean;
    /**
     * ms that a publish waits through an outage before it rejects; 60,000 by default
     */
    timeout?: number;
    /**
     * of the data of events, as JSON.parse takes it
     */
    reviver?: (key: string, value: any, context?: any) => any;
    /**
     * if the platform has none, or another one is to be used
     */
    fetch?: typeof globalThis.fetch;
    /**
     * the same
     */
    WebSocket?: any;
};
export type State = 'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline' | 'closed';
export type HubEventMap = {
    /**
     * with the error that ended the hub, or that shows why it is captive
     */
    state: {
        from: State;
        to: State;
        reason: string;
        error?: TriwayError;
    };
    transport: {
        from: Transport | null;
        to: Transport | null;
        reason: string;
    };
    /**
     * a mistake of the application, why nothing was reached for a while after the start, or the refusal that ended the hub
     */
    error: {
        error: TriwayError;
    };
};
/**
 * @typedef {import('./rungs.js').Transport} Transport
 * @typedef {import('./channel.js').ChannelEventMap} ChannelEventMap
 * @typedef {import('./channel.js').Received} Received
 * @typedef {import('./channel.js').Member} Member
 * @typedef {import('./channel.js').Published} Published
 *
 * @typedef {object} Options
 * @property {string | (() => string | Promise<string>)} [token] a function is called again before its token ends, and when its token was refused
 * @property {'omit' | 'same-origin' | 'include'} [credentials] of requests, as `fetch` takes it: `include` sends cookies to a hub of another origin
 * @property {Transport[]} [transports] allowed; the order is a preference
 * @property {any} [info] JSON, base in presence
 * @property {AbortSignal} [signal] closes the hub
 * @property {number} [heartbeat] seconds
 * @property {boolean} [share] tabs of this origin share one connection. Where it is left out, they do so below WebSocket on HTTP/1.1, if hub, user and `info` are equal
 * @property {number} [timeout] ms that a publish waits through an outage before it rejects; 60,000 by default
 * @property {(key: string, value: any, context?: any) => any} [reviver] of the data of events, as JSON.parse takes it
 * @property {typeof globalThis.fetch} [fetch] if the platform has none, or another one is to be used
 * @property {any} [WebSocket] the same
 *
 * @typedef {'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline' | 'closed'} State
 * @typedef {object} HubEventMap
 * @property {{from: State, to: State, reason: string, error?: TriwayError}} state with the error that ended the hub, or that shows why it is captive
 * @property {{from: Transport | null, to: Transport | null, reason: string}} transport
 * @property {{error: TriwayError}} error a mistake of the application, why nothing was reached for a while after the start, or the refusal that ended the hub
 */
/** An event target whose events are typed. @type {new () => import('./channel.js').Target<HubEventMap>} */
declare const HubTarget: new () => import('./channel.js').Target<HubEventMap>;
export declare class Hub extends HubTarget {
    #private;
    /** Private events for this session and user. */
    inbox: Channel;
    /** @type {State} */
    state: State;
    /** The transport that carries. @type {Transport | null} */
    transport: Transport | null;
    /** @type {{id: string, user?: string} | null} */
    session: {
        id: string;
        user?: string;
    } | null;
    /** Round-trip time in ms, once it was measured. @type {number | undefined} */
    rtt: number | undefined;
    /** Resolves with the first proven transport; rejects if the hub ends before. */
    ready: Promise<void>;
    /** Settles at the end: resolves after the application's own `close()`, rejects with the hub's error otherwise. */
    closed: Promise<void>;
    /** @param {string | URL} address @param {Options} given */
    constructor(address: string | URL, given: Options);
    /**
     * Opens a channel. Each handle belongs to the code that opened it; handles of one channel share its events.
     * @param {string} name
     * @param {{since?: string, presence?: boolean}} [options] where to begin: now, all, last:20, 10m, or an event's id; and whether this session is shown as a member, and joins and leaves are reported
     * @returns {Channel}
     * @throws {TriwayError} `bad_channel`, `bad_cursor` or `bad_option`
     */
    channel(name: string, options?: {
        since?: string;
        presence?: boolean;
    }): Channel;
    /**
     * Changes the transport by hand, or back to the ladder's choice.
     * @param {Transport | 'auto'} transport
     * @throws {TriwayError} `bad_option`, if it is not among the hub's transports
     */
    use(transport: Transport | 'auto'): void;
    /** Requests a new token and attaches again with it, without a gap: for rights that have just changed. */
    renew(): void;
    /** What was tried, observed and chosen, and why: as data, and as text by String(report). @returns {Promise<import('./report.js').Report>} */
    report(): Promise<import('./report.js').Report>;
    /** Ends the hub: queued publishes are rejected, and loops over events end. */
    close(): void;
}
/**
 * Connects to a hub.
 * @param {string | URL} [address] of the hub
 * @param {Options} [options]
 * @returns {Hub}
 * @throws {TriwayError} `bad_address`, `bad_option`, `bad_data` or `too_large`
 */
export declare const connect: (address?: string | URL, options?: Options) => Hub;
