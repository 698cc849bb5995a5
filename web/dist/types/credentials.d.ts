/** The application's token: the one place that holds its current value, which each request reads. */
import { TriwayError } from './error.js';
export declare class Credentials {
    #private;
    /**
     * @param {string | (() => string | Promise<string>) | undefined} token
     * @param {(error: TriwayError) => void} report
     * @param {(token: string) => Promise<void>} exchange gets a session key for a token; from then on requests carry the key
     */
    constructor(token: string | (() => string | Promise<string>) | undefined, report: (error: TriwayError) => void, exchange: (token: string) => Promise<void>);
    /**
     * The token that a request carries; `undefined` if the application gave none, or if it was exchanged.
     * @returns {Promise<string | undefined>}
     * @throws {TriwayError} `token`, if the application's function failed or takes too long
     */
    current(): Promise<string | undefined>;
    /** The application's token. @returns {Promise<string | undefined>} @throws {TriwayError} `token` */
    token(): Promise<string | undefined>;
    /**
     * A token was refused or has expired.
     * @param {string | undefined} used the refused one
     * @returns {Promise<boolean>} whether a request with another token may succeed
     */
    renew(used: string | undefined): Promise<boolean>;
    /** Whether another token can be requested. */
    get isRenewable(): boolean;
    /** The next request requests another token. */
    forget(): void;
    /** The key of the last exchange is no longer accepted. */
    forgetExchange(): void;
    /** The hub accepted the current token. */
    accepted(): void;
}
