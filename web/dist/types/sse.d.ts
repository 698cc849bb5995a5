/**
 * @param {Response} response
 * @param {(frame: import('./frame.js').Frame) => void} tell
 */
export declare function readSse({ headers, body }: Response, tell: (frame: import('./frame.js').Frame) => void): Promise<void>;
