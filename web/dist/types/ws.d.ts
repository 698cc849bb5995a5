/**
 * @param {any} WebSocket the platform's, or one that was passed in
 * @param {string} address
 * @param {string | undefined} token
 * @param {{socket?: (message: string) => void}} attach its `socket` is set
 * @param {AbortSignal} signal
 * @param {(frame: import('./frame.js').Frame) => void} tell
 * @returns {Promise<any>} its end; a WebSocket tells no reason
 */
export declare const readWs: (WebSocket: any, address: string, token: string | undefined, attach: {
    socket?: (message: string) => void;
}, signal: AbortSignal, tell: (frame: import('./frame.js').Frame) => void) => Promise<any>;
