import { TriwayError } from './error.js';
export type Frame = {
    type: string;
    /**
     * the text of the frame
     */
    json?: string;
    id?: string;
    channel?: string;
    data?: any;
    data64?: string;
    name?: string;
    from?: string;
    /**
     * ms since 1970, by the hub's clock
     */
    time?: number;
    after?: string;
    reason?: string;
    more?: boolean;
    magic?: string;
    nonce?: string;
    session?: Session;
    /**
     * seconds
     */
    heartbeat?: number;
    /**
     * read, or refused
     */
    channels?: string[] | {
        channel: string;
        error: import('./error.js').Problem;
    }[];
    places?: Record<string, string>;
    /**
     * nothing is replayed: missed events are read as history
     */
    behind?: boolean;
    limits?: Limits;
    network?: string;
    build?: string;
    ok?: boolean;
    error?: import('./error.js').Problem;
    code?: number;
    reconnect?: boolean;
    after_ms?: number;
    /**
     * of members; in a ping, of the frames that were sent
     */
    count?: number;
    members?: any[];
    reached?: any;
    frames?: Frame[];
    cursor?: string;
};
export type Session = {
    id: string;
    key: string;
    user?: string;
    expires?: number;
    expires_in?: number;
    inboxes?: string[];
};
export type Limits = {
    data: number;
    message: number;
    body: number;
    commands: number;
    address: number;
    info: number;
    channels: number;
};
/**
 * A frame of the hub, or one of the marks that an attachment adds: `head` (the hub accepted the request), `end`
 * (a poll's answer ends), `mute` (no reply arrives) and `incomplete` (frames are missing).
 * @typedef {object} Frame
 * @property {string} type
 * @property {string} [json] the text of the frame
 * @property {string} [id]
 * @property {string} [channel]
 * @property {any} [data]
 * @property {string} [data64]
 * @property {string} [name]
 * @property {string} [from]
 * @property {number} [time] ms since 1970, by the hub's clock
 * @property {string} [after]
 * @property {string} [reason]
 * @property {boolean} [more]
 * @property {string} [magic]
 * @property {string} [nonce]
 * @property {Session} [session]
 * @property {number} [heartbeat] seconds
 * @property {string[] | {channel: string, error: import('./error.js').Problem}[]} [channels] read, or refused
 * @property {Record<string, string>} [places]
 * @property {boolean} [behind] nothing is replayed: missed events are read as history
 * @property {Limits} [limits]
 * @property {string} [network]
 * @property {string} [build]
 * @property {boolean} [ok]
 * @property {import('./error.js').Problem} [error]
 * @property {number} [code]
 * @property {boolean} [reconnect]
 * @property {number} [after_ms]
 * @property {number} [count] of members; in a ping, of the frames that were sent
 * @property {any[]} [members]
 * @property {any} [reached]
 * @property {Frame[]} [frames]
 * @property {string} [cursor]
 *
 * @typedef {{id: string, key: string, user?: string, expires?: number, expires_in?: number, inboxes?: string[]}} Session `inboxes`: the channels behind `@`
 * @typedef {{data: number, message: number, body: number, commands: number, address: number, info: number, channels: number}} Limits
 *   of one event's data, a WebSocket message, a body of `/send`, its commands, the address of a publishing GET, `info`, channels
 */
/** Shows that an answer comes from a hub, and not from something on the way. */
export declare const MAGIC = "triway/1";
/** The error if something other than the hub answered. */
export declare const foreign: (kind?: string) => TriwayError;
/** The first complete JSON value of an answer, as text: a proxy may append to it. @param {Response} response @param {() => void} [onPiece] part of it arrived */
export declare function jsonText(response: Response, onPiece?: () => void): Promise<string>;
/** @param {Response} response */
export declare const parsed: (response: Response) => Promise<any>;
/**
 * One frame as JSON; or, in a binary message of a WebSocket, its JSON, a line feed and the raw bytes.
 * @param {string | ArrayBuffer} message
 * @returns {Frame}
 */
export declare function parseFrame(message: string | ArrayBuffer): Frame;
/** The frames of an answer, each with its own text. @param {Record<string, string>} members of the answer */
export declare const framesOf: ({ frames }: Record<string, string>) => Frame[];
/** The data of an event, as its text. @param {string} json of the frame */
export declare const dataText: (json: string) => string;
/**
 * Whether `id` is at or below `place`, in the same epoch. Offsets have up to 20 decimal digits, more than a
 * number holds exactly, so they are compared as text.
 * @param {string} id
 * @param {string} [place]
 */
export declare function atOrBelow(id: string, place?: string): boolean;
/** 52 random bits, so that no cache holds an answer to it. It is no secret. */
export declare const newNonce: () => string;
/** The name under which a channel is read: all inboxes are read as `@`, and their events carry the real names. @param {string} channel */
export declare const wireName: (channel: string) => string;
