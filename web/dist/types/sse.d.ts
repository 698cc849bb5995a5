export type Frame = import('./frame.js').Frame;
/** @typedef {import('./frame.js').Frame} Frame */
/** @param {string} [token] @returns {Record<string, string>} */
export declare const credentials: (token?: string) => Record<string, string>;
/** @param {string} [body] */
export declare const post: (body?: string) => {
    method: string;
    body: string;
} | {};
/**
 * @param {import('./ws.js').Opening} opening
 * @returns {AsyncGenerator<Frame>}
 */
export declare function readSse(opening: import('./ws.js').Opening): AsyncGenerator<Frame>;
