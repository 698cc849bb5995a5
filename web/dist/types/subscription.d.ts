export type Channel = import('./channel.js').Channel;
export type Member = import('./channel.js').Member;
export type Frame = import('./frame.js').Frame;
export type Transport = import('./cuts.js').Transport;
export type Publish = {
    channel: string;
    head: string;
    data: any;
    sizeBefore: number;
};
export type Context = {
    publish: (command: Publish, signal?: AbortSignal) => Promise<any>;
    /**
     * who is there: of many members only some
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
     * up to which everything live has come
     */
    cursor: () => string | undefined;
    /**
     * what a channel is called where its events are
     */
    realNames: (name: string) => string[];
    reviver: ((key: string, value: any) => any) | undefined;
};
/**
 * @typedef {{channel: string, head: string, data: any, sizeBefore: number}} Publish a command but for its key
 *
 * @typedef {object} Context what handles and subscriptions have of the hub
 * @property {(command: Publish, signal?: AbortSignal) => Promise<any>} publish
 * @property {(name: string) => Promise<{count: number, members: Member[]}>} presence who is there: of many members only some
 * @property {(channel: Channel) => void} leave
 * @property {(name: string, since: string, bytes: number) => Promise<string>} history one page, as JSON
 * @property {import('./history.js').PageSize} pageSize
 * @property {() => boolean} isOver the hub has ended
 * @property {(name: string) => boolean} isShared several handles of this channel are open
 * @property {() => Transport | null} via the transport that carries
 * @property {() => string | undefined} cursor up to which everything live has come
 * @property {(name: string) => string[]} realNames what a channel is called where its events are
 * @property {((key: string, value: any) => any) | undefined} reviver
 */
export declare class Subscription {
    #private;
    name: string;
    /** @type {Set<Channel>} */
    handles: Set<Channel>;
    /** Everything from here on comes: live handles miss nothing. */
    isCovered: boolean;
    /** @param {string} name under which it is read @param {Context} context */
    constructor(name: string, context: Context);
    /** Resolves when the channel is covered, or after a while: what is published right after it was opened is read, too. @returns {Promise<void> | undefined} */
    joined(): Promise<void> | undefined;
    /** Whether some handle shows this session, and hears who comes and goes. */
    get hasPresence(): boolean;
    /** @param {Channel} handle */
    add(handle: Channel): void;
    /** @param {Channel} handle @returns {boolean} whether it was the last one */
    remove(handle: Channel): boolean;
    /** What comes from now on is complete. @param {string} [id] it begins after this */
    cover(id?: string): void;
    /** Something may be missed from here on. @param {string} [cursor] live handles have read up to here; without it they go on with what is live next */
    uncover(cursor?: string): void;
    /** An event or gap of the channel, or of its presence. @param {Frame} frame @param {Transport | null} via */
    receive(frame: Frame, via: Transport | null): void;
    /**
     * Frames were left out on the way: reads again, and delivers what did not come.
     * @param {{since: string, upTo: string, arrived: Set<string>}} hole from the last place at which nothing was missing, up to a place; and the ids that came
     */
    repair({ since, upTo, arrived }: {
        since: string;
        upTo: string;
        arrived: Set<string>;
    }): void;
    /** Presence events were missed: the members are loaded again, and the difference told. */
    reload(): Promise<void>;
    /** Its end: every handle ends. @param {import('./error.js').TriwayError} [error] */
    end(error?: import('./error.js').TriwayError): void;
}
