/**
 * The queue of what is to be published: bounded, in order, each once.
 * Every publish has the key `SESSIONID:N`; until it is answered it is sent again, by whatever way
 * there is, under the same key, and the hub acts on each key once. Knows no ladder and no channel.
 */
import { TriwayError } from './frame.js';
export type Entry = {
    /**
     * the command without key, as it was when it was published
     */
    encoded: string;
    /**
     * its own
     */
    key?: string;
    /**
     * in which it was sent last
     */
    round?: number;
    resolve: (value: any) => void;
    reject: (error: any) => void;
};
export type Reply = Pick<import('./frame.js').Frame, 'ok' | 'error' | 'id' | 'reached'>;
export type Socket = (json: string, onReply: (reply: Reply) => any) => void;
export type Sending = ReturnType<typeof newSending>;
/**
 * @typedef {object} Entry
 * @property {string} encoded the command without key, as it was when it was published
 * @property {string} [key] its own
 * @property {number} [round] in which it was sent last
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 *
 * @typedef {Pick<import('./frame.js').Frame, 'ok' | 'error' | 'id' | 'reached'>} Reply
 * @typedef {(json: string, onReply: (reply: Reply) => any) => void} Socket
 */
/** @typedef {ReturnType<typeof newSending>} Sending */
/**
 * @param {{transport: import('./cuts.js').Transport | null}} hub named in refusals
 * @param {(path: string, more?: Record<string, any>) => string} at an address of the hub, as this session
 * @param {(address: string, init?: RequestInit) => Promise<any>} ask
 * @param {(what: 'expired' | 'blocked') => void} tell
 */
export declare function newSending(hub: {
    transport: import('./cuts.js').Transport | null;
}, at: (path: string, more?: Record<string, any>) => string, ask: (address: string, init?: RequestInit) => Promise<any>, tell: (what: 'expired' | 'blocked') => void): {
    push: ({ key, ...command }: Record<string, any>, data: any, signal?: AbortSignal) => Promise<any>;
    add: (encoded: string, key?: string, signal?: AbortSignal) => Promise<any>;
    by: (id?: string, next?: Socket | boolean) => void;
    close: (error: TriwayError) => void;
};
