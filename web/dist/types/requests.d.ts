/**
 * Single requests to the hub, as this session, with the application's token; and what a failed request
 * proves. Knows no channel, no reading position and no ladder.
 */
import { TriwayError } from './error.js';
export declare class Requests {
    #private;
    base: string;
    credentials: import("./credentials.js").Credentials;
    /** The hub has answered a request. */
    hasAnswered: boolean;
    /**
     * @param {string} base address of the hub, with a slash at its end
     * @param {typeof globalThis.fetch} fetch
     * @param {import('./credentials.js').Credentials} credentials
     * @param {() => {key: string} | undefined} session of the requests
     * @param {(ms: number) => void} onRoundTrip the hub answered at once: a round trip
     */
    constructor(base: string, fetch: typeof globalThis.fetch, credentials: import('./credentials.js').Credentials, session: () => {
        key: string;
    } | undefined, onRoundTrip: (ms: number) => void);
    /** An address; undefined parameters are left out. @param {string} path @param {Record<string, any>} [query] @param {{key: string}} [session] */
    address(path: string, query?: Record<string, any>, session?: {
        key: string;
    }): string;
    /**
     * @param {string} address
     * @param {string} nonce that the request carries, and a refusal of the hub repeats
     * @param {RequestInit} [init]
     * @returns {Promise<Response>} with a status of success
     * @throws {TriwayError}
     */
    send(address: string, nonce: string, init?: RequestInit): Promise<Response>;
    /** Resolves when a request may be repeated: while a gateway cannot reach the hub, requests take turns. */
    waitForTurn(): Promise<void>;
    /** The same for a request that a gateway refused. @param {number} until do not wait longer, by `performance.now()` @param {AbortSignal} signal @returns {Promise<boolean>} whether its turn came */
    waitForTurnUntil(until: number, signal: AbortSignal): Promise<boolean>;
    /** A new key for a token, of the current session if there is one. @param {string} token @returns {Promise<import('./frame.js').Session>} @throws {TriwayError} */
    exchange(token: string): Promise<import('./frame.js').Session>;
    /**
     * A request that the hub answers at once.
     * @param {string} path
     * @param {Record<string, any>} [query]
     * @param {string} [body] posted
     * @param {number} [limitMs] after which it counts as hung
     * @returns {Promise<string>} the JSON of the answer, unchanged
     */
    requestText(path: string, query?: Record<string, any>, body?: string, limitMs?: number): Promise<string>;
    /**
     * Sends commands of this session, which the hub performs in order.
     * @param {string} commands a JSON array
     * @returns {Promise<string>} the JSON of the replies, unchanged
     */
    commandText(commands: string): Promise<string>;
    /** The same, parsed. @param {string} commands @returns {Promise<any>} */
    command(commands: string): Promise<any>;
    /** Ends the requests under way. */
    close(): void;
    /** The same, parsed. @param {string} path @param {Record<string, any>} [query] @param {string} [body] @param {number} [limitMs] @returns {Promise<any>} */
    request(path: string, query?: Record<string, any>, body?: string, limitMs?: number): Promise<any>;
}
/** Why a request has no answer. @param {any} cause */
export declare function failureOf(cause: any): TriwayError;
/** What a refusal of the hub proves, on any transport. @param {number} status @param {any} problem @param {string} nonce @param {boolean} hasToken @returns {import('./error.js').Kind} */
export declare function kindOf(status: number, problem: any, nonce: string, hasToken: boolean): import('./error.js').Kind;
