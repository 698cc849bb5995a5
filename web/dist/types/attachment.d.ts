/**
 * One attachment: a WebSocket connection, an event stream, or a chain of polls, with its reading position:
 * the cursor that it moves and the channels that the cursor covers. It reports its frames and its end, in
 * order, to the connection that opened it. Knows no other attachment and decides nothing.
 */
import { TriwayError } from './error.js';
export type Frame = import('./frame.js').Frame;
export type Open = import('./rungs.js').Step & {
    do: 'open';
};
export type Reads = Map<string, string | true>;
export type Position = {
    reads: Reads;
    /**
     * every event up to here was read
     */
    cursor?: string;
    session?: import('./frame.js').Session;
};
export type Context = {
    options: ReturnType<typeof import('./options.js').checkOptions>;
    requests: import('./requests.js').Requests;
    onFrame: (attachment: Attachment, frame: Frame) => void;
    /**
     * a gateway cannot reach the hub; the request is repeated
     */
    onGatewayError: (attachment: Attachment) => void;
    onEnded: (attachment: Attachment, why: string, error: TriwayError | undefined) => void;
};
/**
 * The channels that are read, by wire name: `true` if the cursor covers it, else where it begins, until the
 * hub has confirmed it.
 * @typedef {Map<string, string | true>} Reads
 *
 * A reading position: where the next attachment continues.
 * @typedef {object} Position
 * @property {Reads} reads
 * @property {string} [cursor] every event up to here was read
 * @property {import('./frame.js').Session} [session]
 *
 * @typedef {object} Context
 * @property {ReturnType<typeof import('./options.js').checkOptions>} options
 * @property {import('./requests.js').Requests} requests
 * @property {(attachment: Attachment, frame: Frame) => void} onFrame
 * @property {(attachment: Attachment) => void} onGatewayError a gateway cannot reach the hub; the request is repeated
 * @property {(attachment: Attachment, why: string, error: TriwayError | undefined) => void} onEnded
 */
export declare class Attachment {
    #private;
    id: number;
    transport: import("./rungs.js").Transport;
    position: Position;
    showsPresence: boolean;
    /** The step of the ladder that opened it. */
    step: import("./rungs.js").OpenStep & {
        do: 'open';
    };
    /** Sends a message, if the transport carries commands. @type {((message: string) => void) | undefined} */
    socket: ((message: string) => void) | undefined;
    /** The code of a WebSocket's close. */
    closeCode: number;
    /**
     * @param {Open} step
     * @param {Position} position
     * @param {boolean} showsPresence it may show its session in presence
     * @param {Context} context
     */
    constructor(step: Open, position: Position, showsPresence: boolean, context: Context);
    /** @param {number} [code] with which a WebSocket is closed: 1000 ends its session, and not only this attachment */
    stop(code?: number): void;
    /** `onReply` is called on WebSocket only. @param {string} json @param {(reply: Frame) => void} [onReply] */
    command(json: string, onReply?: (reply: Frame) => void): void;
    get base(): string;
}
