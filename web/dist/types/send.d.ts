/**
 * The queue of what is to be published: bounded, in order, each once.
 * Every publish has the key `SESSIONID:N`; until it is answered it is sent again, by whatever way
 * there is, under the same key, and the hub acts on each key once. Knows no ladder and no channel.
 */
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
export type Post = (body: string) => Promise<import('./frame.js').Frame[]>;
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
/** @typedef {(body: string) => Promise<import('./frame.js').Frame[]>} Post */
export declare class Sending {
    #private;
    onExpired_: () => void;
    /** @param {() => void} onExpired the session key is no longer taken */
    constructor(onExpired: () => void);
    /**
     * @param {Record<string, any>} command without key
     * @param {any} data
     * @param {AbortSignal} [signal]
     * @returns {Promise<any>}
     */
    push_(command: Record<string, any>, data: any, signal?: AbortSignal): Promise<any>;
    /** The session whose keys are used. A new one begins its own count. @param {string} id */
    session_(id: string): void;
    /** From now on by this way; all that has no answer is sent again. @param {Socket | null} socket @param {Post | null} [post] */
    way_(socket: Socket | null, post?: Post | null): void;
    /** An answer from the WS that is the way now. @param {import('./frame.js').Frame} frame */
    reply_(frame: import('./frame.js').Frame): void;
    /** Nothing more is sent. @param {TriwayError} error */
    close_(error: TriwayError): void;
}
