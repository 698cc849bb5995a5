/**
 * @param {Response} response
 * @param {(frame: import('./frame.js').Frame) => void} hear
 */
export declare function readSse({ headers, body }: Response, hear: (frame: import('./frame.js').Frame) => void): Promise<void>;
