export type Frame = import('./frame.js').Frame;
export type Transport = import('./cuts.js').Transport;
/** The name under which a channel is asked for: events of an inbox carry its real name. @param {string} channel */
export declare const wireName: (channel: string) => string;
/** @param {Record<string, any>} values */
export declare const query: (values: Record<string, any>) => string;
export type Plan = {
    /**
     * of the try
     */
    id: number;
    why: string;
    transport: Transport;
    /**
     * address of the hub, with a slash at its end
     */
    base: string;
    /**
     * by wire name: `undefined` is covered by the cursor
     */
    starts: Map<string, string | undefined>;
    cursor?: string;
    session?: Frame['session'];
    token?: string;
    /**
     * more of the address, alike for each request
     */
    params: Record<string, any>;
    globals: import('./ws.js').Globals;
};
/**
 * @typedef {object} Plan what an attach reads, and as whom
 * @property {number} id of the try
 * @property {string} why
 * @property {Transport} transport
 * @property {string} base address of the hub, with a slash at its end
 * @property {Map<string, string | undefined>} starts by wire name: `undefined` is covered by the cursor
 * @property {string} [cursor]
 * @property {Frame['session']} [session]
 * @property {string} [token]
 * @property {Record<string, any>} params more of the address, alike for each request
 * @property {import('./ws.js').Globals} globals
 */
export declare class Attach {
    plan: Plan;
    transport: import("./cuts.js").Transport;
    covered: Set<string>;
    /** Everything up to here is read, of the channels covered. */
    cursor: string | undefined;
    session: {
        id: string;
        key: string;
        expires?: number;
    } | undefined;
    nonce: string;
    /** Subscribed, not yet covered. @type {Set<string>} */
    joining: Set<string>;
    stop: AbortController;
    /** The way for publishes, where this wire can carry them. @type {((message: string | Uint8Array<ArrayBuffer>) => void) | undefined} */
    socket: ((message: string | Uint8Array<ArrayBuffer>) => void) | undefined;
    headed: boolean;
    /** @type {Map<number, (reply: Frame) => void>} */
    replies: Map<number, (reply: Frame) => void>;
    /** @param {Plan} plan */
    constructor(plan: Plan);
    /**
     * Reads to the end, telling each frame; then tells why it ended, unless it was closed here.
     * @param {(frame: Frame) => void} onFrame
     * @param {(error: any) => void} onEnd
     */
    read(onFrame: (frame: Frame) => void, onEnd: (error: any) => void): Promise<void>;
    /** A command whose reply is not the sending queue's. @param {object} command @param {(reply: Frame) => void} onReply */
    command(command: object, onReply: (reply: Frame) => void): void;
    /** Where channels start that the cursor does not cover, as long as it is the first. @param {string | undefined} cursor */
    starts(cursor: string | undefined): [string, string | undefined][];
    /** Channels and starts, as in an address. @param {string | undefined} cursor */
    list(cursor: string | undefined): string;
    /** The same as the body of a POST. @param {string | undefined} cursor */
    body(cursor: string | undefined): string;
    /** @param {string | undefined} cursor @param {string} nonce @param {boolean} inBody */
    address(cursor: string | undefined, nonce: string, inBody: boolean): string;
}
