import { TriwayError } from './frame.js';
export type Entry = {
    command: Record<string, any>;
    /**
     * the data as it was when it was published; empty for bytes
     */
    json: string;
    bytes?: Uint8Array;
    size: number;
    /**
     * N of its key, given when it is first sent
     */
    number?: number;
    /**
     * of its latest sending on WS
     */
    ref?: number;
    resolve: (value: any) => void;
    reject: (error: any) => void;
};
export type Socket = (message: string | Uint8Array<ArrayBuffer>) => void;
/**
 * @typedef {object} Entry
 * @property {Record<string, any>} command
 * @property {string} json the data as it was when it was published; empty for bytes
 * @property {Uint8Array} [bytes]
 * @property {number} size
 * @property {number} [number] N of its key, given when it is first sent
 * @property {number} [ref] of its latest sending on WS
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 */
/** @typedef {(message: string | Uint8Array<ArrayBuffer>) => void} Socket */
export declare class Sending {
    #private;
    /**
     * @param {(path: string, query?: string, init?: RequestInit) => Promise<any>} ask the hub, as this session
     * @param {(what: 'expired' | 'blocked' | 'mute') => void} tell
     */
    constructor(ask: (path: string, query?: string, init?: RequestInit) => Promise<any>, tell: (what: 'expired' | 'blocked' | 'mute') => void);
    /**
     * @param {Record<string, any>} command without key
     * @param {any} data
     * @param {AbortSignal} [signal]
     * @returns {Promise<any>}
     */
    push(command: Record<string, any>, data: any, signal?: AbortSignal): Promise<any>;
    /**
     * From now on by this way; all that has no answer is sent again.
     * @param {string} [session] whose keys are used; a new one begins its own count
     * @param {Socket} [socket]
     * @param {boolean} [byHttp]
     */
    by(session?: string, socket?: Socket, byHttp?: boolean): void;
    /** An answer from the WS that is the way now. @param {import('./frame.js').Frame} frame */
    reply(frame: import('./frame.js').Frame): void;
    /** Nothing more is sent. @param {TriwayError} error */
    close(error: TriwayError): void;
}
