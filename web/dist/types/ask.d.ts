export type Asking = ReturnType<typeof newAsking>;
/**
 * @param {string} base address of the hub, with a slash at its end
 * @param {import('./client.js').Options} options
 * @param {() => {key: string} | undefined} session as which requests are made
 * @param {(sentAt: number) => void} measured an answer came at once: a round trip
 */
export declare function newAsking(base: string, { token, fetch: request }: import('./client.js').Options, session: () => {
    key: string;
} | undefined, measured: (sentAt: number) => void): {
    /** The last token was asked for because the one before it was refused. */
    isRenewed: boolean;
    at: (path: string, more?: Record<string, any>, as?: {
        key: string;
    }) => string;
    bearer: () => Promise<string | undefined>;
    renew: (used?: Promise<any> | undefined) => boolean;
    answered: (address: string, init?: RequestInit) => Promise<Response>;
    ask: (path: string, more?: Record<string, any>, body?: string, mostMs?: number) => Promise<any>;
};
