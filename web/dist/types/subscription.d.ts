export type Channel = import('./channel.js').Channel;
export type Member = import('./channel.js').Member;
export type Frame = import('./frame.js').Frame;
export type Transport = import('./rungs.js').Transport;
export type Publish = {
    channel: string;
    head: string;
    data: any;
    sizeBefore: number;
};
export type Context = {
    publish: (command: Publish, signal?: AbortSignal) => Promise<any>;
    /**
     * the members; of many, only some
     */
    presence: (name: string) => Promise<{
        count: number;
        members: Member[];
    }>;
    leave: (channel: Channel) => void;
    /**
     * one page, as JSON
     */
    history: (name: string, since: string, bytes: number) => Promise<string>;
    pageSize: import('./history.js').PageSize;
    /**
     * the hub has ended
     */
    isOver: () => boolean;
    /**
     * several handles of this channel are open
     */
    isShared: (name: string) => boolean;
    /**
     * the transport that carries
     */
    via: () => Transport | null;
    /**
     * of the connection
     */
    cursor: () => string | undefined;
    /**
     * under which the hub sends events of a channel: an inbox has several
     */
    realNames: (name: string) => string[];
    reviver: ((key: string, value: any) => any) | undefined;
};
/**
 * @typedef {{channel: string, head: string, data: any, sizeBefore: number}} Publish a command without its key
 *
 * @typedef {object} Context what handles and subscriptions use of the hub
 * @property {(command: Publish, signal?: AbortSignal) => Promise<any>} publish
 * @property {(name: string) => Promise<{count: number, members: Member[]}>} presence the members; of many, only some
 * @property {(channel: Channel) => void} leave
 * @property {(name: string, since: string, bytes: number) => Promise<string>} history one page, as JSON
 * @property {import('./history.js').PageSize} pageSize
 * @property {() => boolean} isOver the hub has ended
 * @property {(name: string) => boolean} isShared several handles of this channel are open
 * @property {() => Transport | null} via the transport that carries
 * @property {() => string | undefined} cursor of the connection
 * @property {(name: string) => string[]} realNames under which the hub sends events of a channel: an inbox has several
 * @property {((key: string, value: any) => any) | undefined} reviver
 */
export declare class Subscription {
    #private;
    name: string;
    /** @type {Set<Channel>} */
    handles: Set<Channel>;
    /** Every event arrives: live handles miss nothing. */
    isCovered: boolean;
    /** @param {string} name under which it is read @param {Context} context */
    constructor(name: string, context: Context);
    /** Resolves when the channel is covered, or after a while. A publish waits for it, so that a channel that was just opened receives it, too. @returns {Promise<void> | undefined} */
    joined(): Promise<void> | undefined;
    /** Whether a handle shows this session, and reports joins and leaves. */
    get hasPresence(): boolean;
    /** @param {Channel} handle */
    add(handle: Channel): void;
    /** @param {Channel} handle @returns {boolean} whether it was the last one */
    remove(handle: Channel): boolean;
    /** From now on every event arrives. @param {string} [id] those after this id */
    cover(id?: string): void;
    /** From here on events may be missed. @param {string} [cursor] live handles have read up to here; without it they continue with the next live event */
    uncover(cursor?: string): void;
    /** An event or gap of the channel, or of its presence channel. @param {Frame} frame @param {Transport | null} via */
    receive(frame: Frame, via: Transport | null): void;
    /**
     * Frames were lost on the way: reads them again, and delivers what did not arrive.
     * @param {{since: string, upTo: string, arrived: Set<string>}} missing after which id, up to which id, and the ids in between that arrived
     */
    repair({ since, upTo, arrived }: {
        since: string;
        upTo: string;
        arrived: Set<string>;
    }): void;
    /** Ends every handle. @param {import('./error.js').TriwayError} [error] */
    end(error?: import('./error.js').TriwayError): void;
}
