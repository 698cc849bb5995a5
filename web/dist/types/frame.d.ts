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
    expected?: string | number;
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
 * @property {string | number} [expected]
 */
/** The word by which an answer shows that a hub made it, and not something between. */
export declare const MAGIC = "triway/1";
/** A `ref` of which no other command of this page has the like. */
export declare const nextRef: () => number;
/** What rejects: `code` is stable, `hint` says what to do. */
export declare class TriwayError extends Error {
    code: string;
    hint: string | undefined;
    status: number | undefined;
    transport: string | null;
    /** @internal */
    retryAfterMs: number | undefined;
    /** @internal true when what answered was not the hub */
    foreign: boolean | undefined;
    /**
     * @param {string} code
     * @param {string} text
     * @param {{hint?: string, status?: number, transport?: string | null, retryAfterMs?: number, foreign?: boolean, bye?: Frame}} [more]
     */
    constructor(code: string, text: string, more?: {
        hint?: string;
        status?: number;
        transport?: string | null;
        retryAfterMs?: number;
        foreign?: boolean;
        bye?: Frame;
    });
}
/** @param {Problem} problem @param {object} [more] */
export declare const refusal: (problem: Problem, more?: object) => TriwayError;
/**
 * What a refused HTTP answer means. Only our own problem JSON is believed; anything else was said
 * by something between the hub and us (`foreign`).
 * @param {Response} response
 */
export declare function refused(response: Response): Promise<TriwayError>;
/**
 * Is `id` at or below `place`, in the same epoch? Offsets are decimal texts of up to 20 digits, more
 * than a number holds exactly, so they are compared as texts.
 * @param {string} id
 * @param {string | undefined} place
 */
export declare function atOrBelow(id: string, place: string | undefined): boolean;
/** @param {string} text base64 @returns {ArrayBuffer} */
export declare function fromBase64(text: string): ArrayBuffer;
/** @param {Uint8Array} bytes */
export declare function toBase64(bytes: Uint8Array): string;
/**
 * The bytes in `data`, or nothing when it is to be sent as JSON.
 * @param {any} data
 * @returns {Uint8Array | undefined}
 */
export declare function bytesOf(data: any): Uint8Array | undefined;
/** @param {Frame} frame whose bytes, if it has any, came as base64 */
export declare function withBytes(frame: Frame): Frame;
/** @param {string} text one frame as JSON */
export declare const parseFrame: (text: string) => Frame;
