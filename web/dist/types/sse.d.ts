/**
 * @param {Response} response
 * @param {(frame: import('./frame.js').Frame) => void} onFrame
 */
export declare function readSse({ headers, body }: Response, onFrame: (frame: import('./frame.js').Frame) => void): Promise<void>;
