/**
 * @param {string} [token]
 * @param {string} [body]
 * @returns {RequestInit}
 */
export declare const request: (token?: string, body?: string) => RequestInit;
/** @param {import('./ws.js').Opening} opening @returns {AsyncGenerator<import('./frame.js').Frame>} */
export declare function readSse({ url, nonce, cursor, signal, token, body, globals }: import('./ws.js').Opening): AsyncGenerator<import('./frame.js').Frame>;
