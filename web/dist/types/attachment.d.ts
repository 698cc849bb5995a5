/**
 * One attachment: a WebSocket connection, an event stream, or a chain of polls, with the cursor that it
 * moves and the channels that the cursor covers. Knows no other attachment and decides nothing: it reports
 * what it saw, in order, to the connection that opened it.
 */
import { TriwayError } from './error.js';
export type Frame = import('./frame.js').Frame;
export type Open = import('./rungs.js').Step & {
    do: 'open';
};
export type Reads = Map<string, string | true>;
export type Line = {
    reads: Reads;
    /**
     * everything up to here is read
     */
    cursor?: string;
    session?: import('./frame.js').Session;
};
export type Context = {
    options: ReturnType<typeof import('./options.js').checkOptions>;
    requests: import('./requests.js').Requests;
    onFrame: (attachment: Attachment, frame: Frame) => void;
    /**
     * a gateway cannot reach the hub; it is asked again
     */
    away: (attachment: Attachment) => void;
    ended: (attachment: Attachment, why: string, error: TriwayError | undefined) => void;
};
/**
 * What is read: channels by wire name. `true` are those that the cursor covers; the others begin where the
 * start says, until the hub confirms.
 * @typedef {Map<string, string | true>} Reads
 *
 * Where reading goes on from when this attachment ends.
 * @typedef {object} Line
 * @property {Reads} reads
 * @property {string} [cursor] everything up to here is read
 * @property {import('./frame.js').Session} [session]
 *
 * @typedef {object} Context
 * @property {ReturnType<typeof import('./options.js').checkOptions>} options
 * @property {import('./requests.js').Requests} requests
 * @property {(attachment: Attachment, frame: Frame) => void} onFrame
 * @property {(attachment: Attachment) => void} away a gateway cannot reach the hub; it is asked again
 * @property {(attachment: Attachment, why: string, error: TriwayError | undefined) => void} ended
 */
export declare class Attachment {
    #private;
    id: number;
    transport: import("./cuts.js").Transport;
    line: Line;
    isShown: boolean;
    /** How it was opened. */
    step: import("./rungs.js").OpenStep & {
        do: 'open';
    };
    /** Sends a message, where the transport carries commands. @type {((message: string) => void) | undefined} */
    socket: ((message: string) => void) | undefined;
    /** The code of a WebSocket's close. */
    closeCode: number;
    /**
     * @param {Open} step
     * @param {Line} line
     * @param {boolean} isShown it may show the session in presence
     * @param {Context} context
     */
    constructor(step: Open, line: Line, isShown: boolean, context: Context);
    /** @param {number} [code] of the close of a WebSocket: 1000 says that its session leaves, and not only this attachment */
    stop(code?: number): void;
    /** Only a WebSocket tells the reply. @param {string} json @param {(reply: Frame) => void} [onReply] */
    command(json: string, onReply?: (reply: Frame) => void): void;
    get base(): string;
}
