/**
 * @param {object} how
 * @param {any} how.WebSocket the platform's, or one that was passed in
 * @param {string} how.address
 * @param {string | undefined} how.token
 * @param {{socket?: (message: string) => void}} how.attachment its `socket` is set
 * @param {AbortSignal} how.signal
 * @param {(frame: import('./frame.js').Frame) => void} hear
 * @returns {Promise<number>} its end, with the code of its close
 */
export declare const readWs: ({ WebSocket, address, token, attachment, signal }: {
    WebSocket: any;
    address: string;
    token: string | undefined;
    attachment: {
        socket?: (message: string) => void;
    };
    signal: AbortSignal;
}, hear: (frame: import('./frame.js').Frame) => void) => Promise<number>;
