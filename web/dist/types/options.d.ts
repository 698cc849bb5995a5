export type Transport = import('./rungs.js').Transport;
/** @typedef {import('./rungs.js').Transport} Transport */
/** @type {Transport[]} */
export declare const TRANSPORTS: Transport[];
/** What a token must be: a header can carry nothing else after `Bearer `. */
export declare const TOKEN = "a text of visible ASCII, without spaces and without `Bearer`";
/** @param {unknown} token */
export declare const isToken: (token: unknown) => boolean;
/** @param {any} value @param {string} name */
export declare const checkFunction: (value: any, name: string) => void;
/** @param {any} options of a publish */
export declare function checkPublishOptions(options: any): void;
/**
 * Checks the options of `connect`, and adds the defaults.
 * @param {import('./client.js').Options} options
 */
export declare function checkOptions(options: import('./client.js').Options): {
    token?: string | (() => string | Promise<string>);
    credentials?: 'omit' | 'same-origin' | 'include';
    info?: any;
    signal?: AbortSignal;
    heartbeat?: number;
    share?: boolean;
    reviver?: (key: string, value: any, context?: any) => any;
    transports: import("./rungs.js").Transport[];
    timeout: number;
    fetch: typeof globalThis.fetch;
    WebSocket: any;
    infoJson: string | undefined;
};
/**
 * Checks the address of a hub. Returns it with a slash at its end, without query and hash.
 * @param {string | URL} address
 */
export declare function checkAddress(address: string | URL): string;
/** @param {any} transport @param {Transport[]} allowed */
export declare function checkTransport(transport: any, allowed: Transport[]): void;
/** @param {any} name */
export declare function checkChannel(name: any): void;
/**
 * Checks the options of a channel. The inbox of another session can only be published to.
 * @param {string} name
 * @param {{since?: string, presence?: boolean}} options
 */
export declare function checkChannelOptions(name: string, options: {
    since?: string;
    presence?: boolean;
}): void;
/** @param {any} name of an event */
export declare function checkEventName(name: any): void;
