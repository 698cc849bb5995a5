/**
 * Single requests to the hub, as this session, with the application's token; and what an answer that is no
 * success proves. Knows nothing of channels, positions or the ladder.
 */
import { TriwayError } from './error.js';
export declare class Requests {
    #private;
    base: string;
    credentials: import("./credentials.js").Credentials;
    /** Some request was answered. */
    hasAnswered: boolean;
    /**
     * @param {string} base address of the hub, with a slash at its end
     * @param {typeof globalThis.fetch} fetch
     * @param {import('./credentials.js').Credentials} credentials
     * @param {() => {key: string} | undefined} session as which requests are made
     * @param {(ms: number) => void} measured an answer came at once: a round trip
     */
    constructor(base: string, fetch: typeof globalThis.fetch, credentials: import('./credentials.js').Credentials, session: () => {
        key: string;
    } | undefined, measured: (ms: number) => void);
    /** An address; what is undefined is left out. @param {string} path @param {Record<string, any>} [query] @param {{key: string}} [session] */
    at(path: string, query?: Record<string, any>, session?: {
        key: string;
    }): string;
    /**
     * @param {string} address
     * @param {string} nonce that the request carries, and a refusal of the hub repeats
     * @param {RequestInit} [init]
     * @returns {Promise<Response>} a success
     * @throws {TriwayError}
     */
    send(address: string, nonce: string, init?: RequestInit): Promise<Response>;
    /** While a gateway cannot reach the hub, what is repeated takes turns. @param {AbortSignal} [signal] @param {boolean} [isAway] it was refused so */
    turn(signal?: AbortSignal, isAway?: boolean): Promise<void>;
    /**
     * A request that is answered at once, or hangs.
     * @param {string} path
     * @param {Record<string, any>} [query]
     * @param {string} [body] posted
     * @param {number} [mostMs] until it hangs
     * @returns {Promise<string>} the JSON of the answer, as it came
     */
    askText(path: string, query?: Record<string, any>, body?: string, mostMs?: number): Promise<string>;
    /**
     * Commands of this session, in their order.
     * @param {string} commands a JSON array
     * @returns {Promise<string>} the JSON of the replies, as it came
     */
    commandText(commands: string): Promise<string>;
    /** The same, parsed. @param {string} commands @returns {Promise<any>} */
    command(commands: string): Promise<any>;
    /** Ends the requests under way. */
    close(): void;
    /** The same, parsed. @param {string} path @param {Record<string, any>} [query] @param {string} [body] @param {number} [mostMs] @returns {Promise<any>} */
    ask(path: string, query?: Record<string, any>, body?: string, mostMs?: number): Promise<any>;
}
/** Why a request has no answer. @param {any} cause */
export declare function failureOf(cause: any): TriwayError;
/** What a refusal of the hub proves, by whichever transport it came. @param {number} status @param {any} problem @param {string} nonce @param {boolean} hasToken @returns {import('./error.js').Kind} */
export declare function kindOf(status: number, problem: any, nonce: string, hasToken: boolean): import('./error.js').Kind;
