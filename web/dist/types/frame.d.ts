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
    more?: boolean;
    magic?: string;
    nonce?: string;
    session?: Session;
    heartbeat?: number;
    channels?: string[];
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
export type Session = {
    id: string;
    key: string;
    expires?: number;
    inboxes?: string[];
};
export type Problem = {
    code: string;
    title?: string;
    detail?: string;
    hint?: string;
    status?: number;
    expected?: number;
    /**
     * not before, by the hub's word
     */
    afterMs?: number;
};
/**
 * A frame of the hub, or one of the marks that are added while reading: `head` (the other side
 * accepted), `end` (where a poll's answer ends) and `mute` (no reply comes).
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
 * @property {boolean} [more]
 * @property {string} [magic]
 * @property {string} [nonce]
 * @property {Session} [session]
 * @property {number} [heartbeat]
 * @property {string[]} [channels]
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
 *
 * @typedef {{id: string, key: string, expires?: number, inboxes?: string[]}} Session `inboxes` are the real names behind `@`, where tabs share
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
 * @property {number} [afterMs] not before, by the hub's word
 */
/** The word by which an answer shows that a hub made it, and not something between. */
export declare const MAGIC = "triway/1";
/** What rejects: `code` is stable, `hint` says what to do. */
export declare class TriwayError extends Error {
    code: string;
    /** @type {string | undefined} */
    hint: string | undefined;
    /** @type {number | undefined} */
    status: number | undefined;
    /** What carried when it was refused. @type {import('./cuts.js').Transport | null | undefined} */
    transport: import('./cuts.js').Transport | null | undefined;
    /**
     * @param {string} code
     * @param {Partial<Problem> & Partial<Omit<TriwayError, 'code'>>} [more]
     */
    constructor(code: string, more?: Partial<Problem> & Partial<Omit<TriwayError, 'code'>>);
}
/** What answers is not the hub. */
export declare const foreign: () => TriwayError;
/** The JSON of an answer. WebKit gives a body that was cut short as if it were whole; any other text is somebody's page. @param {Response} response */
export declare function parsed(response: Response): Promise<any>;
/**
 * Is `id` at or below `place`, in the same epoch? Offsets are decimal texts of up to 20 digits, more
 * than a number holds exactly, so they are compared as texts.
 * @param {string} id
 * @param {string} [place]
 */
export declare function atOrBelow(id: string, place?: string): boolean;
/** 52 bits, and no secret: no cache ever holds an answer to it. */
export declare const newNonce: () => string;
/** The name under which a channel is asked for: events of an inbox carry its real name. @param {string} channel */
export declare const wireName: (channel: string) => string;
/** Data as a command has it: bytes as base64. @param {any} data @returns {{data: any} | {data64: string}} */
export declare function withBytes(data: any): {
    data: any;
} | {
    data64: string;
};
/**
 * One frame as JSON; or, in a binary message of a WS, its JSON, a line feed and the raw bytes.
 * @param {string | ArrayBuffer} message
 * @returns {Frame}
 */
export declare function parseFrame(message: string | ArrayBuffer): Frame;
/** Bytes that came as base64. @param {string} data64 */
export declare const bytesOf: (data64: string) => ArrayBuffer;
