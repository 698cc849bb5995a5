/** An Event with the facts it tells as properties. */
export declare class TriwayEvent extends Event {
    /** @param {string} type @param {object} facts */
    constructor(type: string, facts: object);
}
export type Received = {
    /**
     * an ArrayBuffer where bytes were published
     */
    data: any;
    name: string;
    id: string;
    from?: string;
    /**
     * ms since 1970, by the hub's clock
     */
    time: number;
    channel: string;
    /**
     * the transport that brought it
     */
    via: import('./ladder.js').Transport;
};
export type Member = {
    id: string;
    user?: string;
    info?: any;
    since?: number;
};
export type Uses = {
    send: (command: object, data: any, signal?: AbortSignal) => Promise<any>;
    who: (channel: string) => Promise<Member[]>;
    end: (channel: Channel) => void;
};
/**
 * @typedef {object} Received one event of a channel
 * @property {any} data an ArrayBuffer where bytes were published
 * @property {string} name
 * @property {string} id
 * @property {string} [from]
 * @property {number} time ms since 1970, by the hub's clock
 * @property {string} channel
 * @property {import('./ladder.js').Transport} via the transport that brought it
 */
/**
 * @typedef {object} Member
 * @property {string} id
 * @property {string} [user]
 * @property {any} [info]
 * @property {number} [since]
 */
/**
 * @typedef {object} Uses what a handle may ask of its hub
 * @property {(command: object, data: any, signal?: AbortSignal) => Promise<any>} send
 * @property {(channel: string) => Promise<Member[]>} who
 * @property {(channel: Channel) => void} end
 */
export declare class Channel extends EventTarget {
    #private;
    name: string;
    /**
     * @param {string} name
     * @param {{since?: string, presence?: boolean}} options
     * @param {Uses} uses
     */
    constructor(name: string, { since, presence }: {
        since?: string;
        presence?: boolean;
    }, uses: Uses);
    /**
     * Resolves when the hub has the event.
     * @param {any} data JSON, or bytes as ArrayBuffer or a view
     * @param {{name?: string, signal?: AbortSignal}} [options]
     * @returns {Promise<{id: string, reached: {ws: number, sse: number, poll: number}}>}
     */
    publish(data: any, { name, signal }?: {
        name?: string;
        signal?: AbortSignal;
    }): Promise<{
        id: string;
        reached: {
            ws: number;
            sse: number;
            poll: number;
        };
    }>;
    /**
     * Calls `listener` for each event of that name.
     * @param {string} name
     * @param {(data: any, event: Received) => void} listener
     * @returns {() => void} ends it
     */
    on(name: string, listener: (data: any, event: Received) => void): () => void;
    /** @returns {AsyncGenerator<Received>} */
    [Symbol.asyncIterator](): AsyncGenerator<Received>;
    /** Who is here. @returns {Promise<Member[]>} */
    members(): Promise<Member[]>;
    /** Ends the handle; nothing of the channel comes after. */
    close(): void;
}
