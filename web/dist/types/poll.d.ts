/**
 * @param {object} chain
 * @param {(isPosted: boolean) => Promise<Response>} chain.request from the current cursor, with a new nonce
 * @param {() => string} chain.nonce of the last request
 * @param {number} [chain.pauseMs] between an answer and the next request; only short polls have it
 * @param {AbortSignal} chain.signal
 * @param {(frame: import('./frame.js').Frame) => void} onFrame
 */
export declare function readPoll({ request, nonce, pauseMs, signal }: {
    request: (isPosted: boolean) => Promise<Response>;
    nonce: () => string;
    pauseMs?: number;
    signal: AbortSignal;
}, onFrame: (frame: import('./frame.js').Frame) => void): Promise<void>;
/** @param {number} ms @param {AbortSignal} [signal] */
export declare function pause(ms: number, signal?: AbortSignal): Promise<any>;
