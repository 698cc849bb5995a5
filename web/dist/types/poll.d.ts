/**
 * @param {(isPosted: boolean) => Promise<Response>} ask from where it is now, with a new nonce
 * @param {() => string} nonce the last one
 * @param {(frame: import('./frame.js').Frame) => void} tell
 */
export declare function readPoll(ask: (isPosted: boolean) => Promise<Response>, nonce: () => string, tell: (frame: import('./frame.js').Frame) => void): Promise<void>;
