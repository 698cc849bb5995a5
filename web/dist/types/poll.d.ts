/** 64 bits: no cache ever holds an answer to it. */
export declare const newNonce: () => string;
/** @param {import('./ws.js').Opening} opening @returns {AsyncGenerator<import('./frame.js').Frame>} */
export declare function readPoll({ url, nonce, cursor, signal, token, body, globals }: import('./ws.js').Opening): AsyncGenerator<import('./frame.js').Frame>;
