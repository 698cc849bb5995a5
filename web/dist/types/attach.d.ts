export type Frame = import('./frame.js').Frame;
export type Transport = import('./ladder.js').Transport;
/** The name under which a channel is asked for: events of an inbox carry its real name. @param {string} channel */
export declare const wireName: (channel: string) => string;
export type Plan = {
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
    params: Record<string, string | number | undefined>;
    /**
     * more of the address, for each request anew
     */
    changing?: () => Record<string, string | number | undefined>;
    globals: import('./ws.js').Globals;
};
/**
 * @typedef {object} Plan what an attach reads, and as whom
 * @property {string} base address of the hub, with a slash at its end
 * @property {Map<string, string | undefined>} starts by wire name: `undefined` is covered by the cursor
 * @property {string} [cursor]
 * @property {Frame['session']} [session]
 * @property {string} [token]
 * @property {Record<string, string | number | undefined>} params more of the address, alike for each request
 * @property {() => Record<string, string | number | undefined>} [changing] more of the address, for each request anew
 * @property {import('./ws.js').Globals} globals
 */
export declare class Attach {
    #private;
    id_: number;
    transport_: import("./ladder.js").Transport;
    plan_: Plan;
    nonce_: string;
    covered_: Set<string>;
    /** Began at the cursor of an attach before it, so what it reads continues what was read. */
    inLine_: boolean;
    /** Everything up to here is read, of the channels covered. @type {string | undefined} */
    cursor_: string | undefined;
    /** @type {Frame['session']} */
    session_: Frame['session'];
    /** Events of it reached the application, or it carried. */
    used_: boolean;
    helloAt_: number;
    /** Subscribed, not yet covered. @type {Set<string>} */
    joining_: Set<string>;
    /**
     * @param {number} id
     * @param {Transport} transport
     * @param {Plan} plan
     */
    constructor(id: number, transport: Transport, plan: Plan);
    /**
     * Reads to the end, telling each frame; then tells why it ended, unless it was closed here.
     * @param {(frame: Frame) => void} onFrame
     * @param {(error: any) => void} onEnd
     */
    read_(onFrame: (frame: Frame) => void, onEnd: (error: any) => void): Promise<void>;
    close_(): void;
    get closed_(): boolean;
    /** The way for publishes, where this wire can carry them. */
    get socket_(): ((message: string | Uint8Array<ArrayBuffer>) => void) | undefined;
    /** A command whose reply is not the sending queue's. @param {object} command @param {(reply: Frame) => void} onReply */
    command_(command: object, onReply: (reply: Frame) => void): void;
    /** @param {Frame} frame @returns {boolean} whether the reply was to a command of this attach */
    replied_(frame: Frame): boolean;
}
