/**
 * When the session and its credential are renewed: ahead of their end, by another attachment next to the current
 * one, so that nothing pauses. Knows no attachment.
 */
export declare class Renewal {
    #private;
    /**
     * @param {import('./credentials.js').Credentials} credentials
     * @param {() => boolean} reopen attaches again; returns whether it could
     */
    constructor(credentials: import('./credentials.js').Credentials, reopen: () => boolean);
    /** A hello arrived. @param {number} [leftS] seconds until the session key and its credential end, by the hub's clock */
    observeHello(leftS?: number): void;
    /** Timers of a hidden page may be late: each frame looks, too. */
    onFrame(): void;
    /** Requests another token, and attaches again. */
    begin(): void;
    /** Resolves when a session made after this call carries, or after a while; the caller then requests again. @returns {Promise<void>} */
    whenRenewed(): Promise<void>;
    /** Another session carries. */
    resolve(): void;
    end(): void;
}
