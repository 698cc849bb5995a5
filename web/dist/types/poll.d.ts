/**
 * @param {object} chain
 * @param {(isPosted: boolean) => Promise<Response>} chain.ask from where it is now, with a new nonce
 * @param {() => string} chain.nonce the last one
 * @param {number} [chain.pauseMs] between an answer and the next request, where polls are short
 * @param {AbortSignal} chain.signal
 * @param {(frame: import('./frame.js').Frame) => void} hear
 */
export declare function readPoll({ ask, nonce, pauseMs, signal }: {
    ask: (isPosted: boolean) => Promise<Response>;
    nonce: () => string;
    pauseMs?: number;
    signal: AbortSignal;
}, hear: (frame: import('./frame.js').Frame) => void): Promise<void>;
/** @param {number} ms @param {AbortSignal} [signal] */
export declare function pause(ms: number, signal?: AbortSignal): Promise<any>;
