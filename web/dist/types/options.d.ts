export type Transport = import('./cuts.js').Transport;
/** @typedef {import('./cuts.js').Transport} Transport */
/** @type {Transport[]} */
export declare const TRANSPORTS: Transport[];
/** What a token must be, whether it is an option or what a function returns: a header carries nothing else after `Bearer `. */
export declare const TOKEN = "a text of visible ASCII, without spaces and without `Bearer`";
/** @param {unknown} token */
export declare const isToken: (token: unknown) => boolean;
/** @param {any} value @param {string} name */
export declare const checkFunction: (value: any, name: string) => void;
/** @param {any} options of a publish */
export declare function checkPublishOptions(options: any): void;
/**
 * The options of `connect`, with what they are where the application does not say.
 * @param {import('./client.js').Options} options
 */
export declare function checkOptions(options: import('./client.js').Options): {
    token?: string | (() => string | Promise<string>);
    info?: any;
    signal?: AbortSignal;
    heartbeat?: number;
    share?: boolean;
    reviver?: (key: string, value: any, context?: any) => any;
    transports: import("./cuts.js").Transport[];
    timeout: number;
    fetch: typeof globalThis.fetch;
    WebSocket: any;
    infoJson: string | undefined;
};
/**
 * The address of a hub: with a slash at its end, without query and hash.
 * @param {string | URL} address
 */
export declare function checkAddress(address: string | URL): string;
/** @param {any} transport @param {Transport[]} allowed */
export declare function checkTransport(transport: any, allowed: Transport[]): void;
/** @param {any} name */
export declare function checkChannel(name: any): void;
/**
 * The options of a channel. An inbox of somebody else can only be written to.
 * @param {string} name
 * @param {{since?: string, presence?: boolean}} options
 */
export declare function checkChannelOptions(name: string, options: {
    since?: string;
    presence?: boolean;
}): void;
/** @param {any} name of an event */
export declare function checkEventName(name: any): void;
