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
    key?: any;
    /**
     * it may have acted
     */
    isSent?: boolean;
    fulfil: (value: any) => void;
    refuse: (error: any) => void;
};
export type Reply = {
    ok?: any;
    id?: string;
    reached?: any;
    error?: any;
    isLost?: boolean;
};
export type Socket = (json: string, onReply: (reply: any) => any) => void;
export type Sending = ReturnType<typeof newSending>;
/**
 * @param {{state: string, transport: import('./cuts.js').Transport | null}} hub its transport is named in refusals
 * @param {boolean} isShared by tabs: who reads for all may change before it has answered, and a key must be the same for all
 * @param {import('./ask.js').Asking} asking
 * @param {(fact: 'expired' | 'blocked') => void} tell
 */
export declare function newSending(hub: {
    state: string;
    transport: import('./cuts.js').Transport | null;
}, isShared: boolean, { at, ask }: import('./ask.js').Asking, tell: (fact: 'expired' | 'blocked') => void): {
    add: (encoded: string, signal?: AbortSignal, key?: any) => Promise<any>;
    by: (id?: string, next?: Socket | boolean) => void;
    close: (error: TriwayError) => void;
};
