/**
 * @param {object} target
 * @param {any} target.WebSocket of the platform, or the application's own
 * @param {string} target.address
 * @param {string | undefined} target.token
 * @param {{socket?: (message: string) => void}} target.attachment whose `socket` is set
 * @param {AbortSignal} target.signal
 * @param {(frame: import('./frame.js').Frame) => void} onFrame
 * @returns {Promise<number>} the code of its close
 */
export declare const readWs: ({ WebSocket, address, token, attachment, signal }: {
    WebSocket: any;
    address: string;
    token: string | undefined;
    attachment: {
        socket?: (message: string) => void;
    };
    signal: AbortSignal;
}, onFrame: (frame: import('./frame.js').Frame) => void) => Promise<number>;
