export type Asking = ReturnType<typeof newAsking>;
/** @typedef {ReturnType<typeof newAsking>} Asking */
/**
 * @param {string} base address of the hub, with a slash at its end
 * @param {import('./client.js').Options} options
 * @param {(sentAt: number) => void} measured an answer came at once: a round trip
 */
export declare function newAsking(base: string, { token, fetch }: import('./client.js').Options, measured: (sentAt: number) => void): {
    /** As which requests are made. @type {import('./frame.js').Session | undefined} */
    session: import('./frame.js').Session | undefined;
    /** The last token was asked for because the one before it was refused. */
    isRenewed: boolean;
    at: (path: string, more?: Record<string, any>, as?: {
        key: string;
    }) => string;
    bearer: () => Promise<string | undefined>;
    renew: (used?: Promise<any> | undefined) => boolean;
    answered: (address: string, init?: RequestInit) => Promise<Response>;
    ask: (address: string, init?: RequestInit) => Promise<any>;
};
