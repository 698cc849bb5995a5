/**
 * One attach: one WS connection, one event stream, or one chain of polls, with the cursor that it
 * moves and the channels that the cursor covers. Knows no other attach and decides nothing: it
 * tells what it saw, in order, to the hub that opened it.
 */
import { TriwayError } from './frame.js';
export type Frame = import('./frame.js').Frame;
export type Open = import('./rungs.js').Step & {
    do: 'open';
};
export type Reads = Map<string, string | true>;
export type Plan = {
    reads: Reads;
    /**
     * everything up to here is read
     */
    cursor?: string;
    /**
     * its own
     */
    session?: import('./frame.js').Session;
    /**
     * 1 when it shows the session in presence
     */
    shown: any;
};
export type Ways = {
    /**
     * where the wire carries commands
     */
    socket?: ((message: string) => void) | undefined;
    /**
     * only a WS tells the reply
     */
    command: (json: string, onReply?: (reply: Frame) => void) => void;
    /**
     * a WS with this code: 1000 says that its session leaves, and not only this attach
     */
    stop: (code?: number) => void;
};
export type Attach = Open & Plan & Ways;
/**
 * What is read: channels by wire name. `true` are those that the cursor covers; of the others it
 * says where they start, until the hub confirms.
 * @typedef {Map<string, string | true>} Reads
 *
 * @typedef {object} Plan what is attached, beside the ladder's step
 * @property {Reads} reads
 * @property {string} [cursor] everything up to here is read
 * @property {import('./frame.js').Session} [session] its own
 * @property {any} shown 1 when it shows the session in presence
 *
 * @typedef {object} Ways
 * @property {((message: string) => void) | undefined} [socket] where the wire carries commands
 * @property {(json: string, onReply?: (reply: Frame) => void) => void} command only a WS tells the reply
 * @property {(code?: number) => void} stop a WS with this code: 1000 says that its session leaves, and not only this attach
 *
 * @typedef {Open & Plan & Ways} Attach
 */
/**
 * @param {Open & Plan} plan
 * @param {import('./client.js').Options} options
 * @param {import('./ask.js').Asking} asking
 * @param {(attach: Attach, frame: Frame) => void} heard
 * @param {(attach: Attach, why: string, error: Partial<TriwayError>) => void} ended
 * @returns {Attach}
 */
export declare function newAttach(plan: Open & Plan, { heartbeat, info, WebSocket }: import('./client.js').Options, asking: import('./ask.js').Asking, heard: (attach: Attach, frame: Frame) => void, ended: (attach: Attach, why: string, error: Partial<TriwayError>) => void): Attach;
