/**
 * What the hub and a client say to each other, in the client's terms: frames, ids, bytes, refusals.
 * Pure: knows no wire, no clock and no handle.
 */
export type Frame = {
    type: string;
    id?: string;
    channel?: string;
    data?: any;
    data64?: string;
    name?: string;
    from?: string;
    time?: number;
    after?: string;
    reason?: string;
    magic?: string;
    nonce?: string;
    session?: {
        id: string;
        key: string;
        expires?: number;
    };
    heartbeat?: number;
    network?: string;
    build?: string;
    ref?: number;
    ok?: boolean;
    error?: Problem;
    code?: number;
    reconnect?: boolean;
    after_ms?: number;
    count?: number;
    members?: any[];
    reached?: any;
};
export type Problem = {
    code: string;
    title?: string;
    detail?: string;
    hint?: string;
    status?: number;
    expected?: number;
};
/**
 * A frame of the hub, or one of the two marks that a reader adds: `head` (the other side accepted:
 * WS open, stream head, poll answered) and `cursor` (where a poll's answer ends).
 * @typedef {object} Frame
 * @property {string} type
 * @property {string} [id]
 * @property {string} [channel]
 * @property {any} [data]
 * @property {string} [data64]
 * @property {string} [name]
 * @property {string} [from]
 * @property {number} [time]
 * @property {string} [after]
 * @property {string} [reason]
 * @property {string} [magic]
 * @property {string} [nonce]
 * @property {{id: string, key: string, expires?: number}} [session]
 * @property {number} [heartbeat]
 * @property {string} [network]
 * @property {string} [build]
 * @property {number} [ref]
 * @property {boolean} [ok]
 * @property {Problem} [error]
 * @property {number} [code]
 * @property {boolean} [reconnect]
 * @property {number} [after_ms]
 * @property {number} [count]
 * @property {any[]} [members]
 * @property {any} [reached]
 */
/**
 * A refusal as the hub writes it (RFC 9457, with a stable `code`).
 * @typedef {object} Problem
 * @property {string} code
 * @property {string} [title]
 * @property {string} [detail]
 * @property {string} [hint]
 * @property {number} [status]
 * @property {number} [expected]
 */
/** The word by which an answer shows that a hub made it, and not something between. */
export declare const MAGIC = "triway/1";
/** A `ref` of which no other command of this page has the like. */
export declare const nextRef: () => number;
/** What rejects: `code` is stable, `hint` says what to do. */
export declare class TriwayError extends Error {
    code: string;
    /** @type {string | undefined} */
    hint: string | undefined;
    /** @type {number | undefined} */
    status: number | undefined;
    /** @type {import('./cuts.js').Transport | null | undefined} */
    transport: import('./cuts.js').Transport | null | undefined;
    /** @param {string} code @param {object} [more] */
    constructor(code: string, more?: object);
}
/**
 * What a refused HTTP answer means. Only our own problem JSON is believed; anything else was said
 * by something between the hub and us. A gateway that cannot reach the hub is no stranger, though.
 * @param {Response} response
 */
export declare function refused(response: Response): Promise<TriwayError>;
/** What answers is not the hub. */
export declare const foreign: () => TriwayError;
/**
 * Is `id` at or below `place`, in the same epoch? Offsets are decimal texts of up to 20 digits, more
 * than a number holds exactly, so they are compared as texts.
 * @param {string} id
 * @param {string} [place]
 */
export declare function atOrBelow(id: string, place?: string): boolean;
/** @param {Uint8Array} bytes */
export declare const toBase64: (bytes: Uint8Array) => string;
/**
 * The bytes in `data`, or nothing when it is to be sent as JSON.
 * @param {any} data
 * @returns {Uint8Array | undefined}
 */
export declare function bytesOf(data: any): Uint8Array | undefined;
/** @param {Frame} frame whose bytes, if it has any, came as base64 */
export declare function withBytes(frame: Frame): Frame;
/**
 * One frame as JSON; or, in a binary message, its JSON, a line feed and raw bytes: so bytes travel on WS without base64.
 * @param {string | ArrayBuffer} message
 */
export declare function parseFrame(message: string | ArrayBuffer): any;
