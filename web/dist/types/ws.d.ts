export type Globals = {
    fetch: typeof globalThis.fetch;
    WebSocket?: any;
    EventSource?: any;
    ReadableStream?: any;
};
export type Opening = {
    url: (cursor: string | undefined, nonce: string) => string;
    nonce: string;
    cursor?: string;
    signal: AbortSignal;
    token?: string;
    /**
     * channels and starts, where the address would be too long
     */
    body?: (cursor: string | undefined) => string | undefined;
    globals: Globals;
    sendable?: (send: (message: string | Uint8Array<ArrayBuffer>) => void) => void;
};
/** @param {Opening} opening */
export declare function readWs({ url, nonce, cursor, signal, token, globals, sendable }: Opening): AsyncGenerator<import("./frame.js").Frame, any, any>;
