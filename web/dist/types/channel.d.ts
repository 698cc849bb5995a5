/**
 * The application's handle of one channel: events out, publishes in. Knows the hub only by the few
 * functions it was given, and nothing of transports.
 */
import { TriwayError } from './frame.js';
export type Target<Events> = {
    addEventListener<Type extends keyof Events>(type: Type, listener: (event: Event & Events[Type]) => void, options?: boolean | AddEventListenerOptions): void;
    removeEventListener<Type extends keyof Events>(type: Type, listener: (event: Event & Events[Type]) => void, options?: boolean | EventListenerOptions): void;
} & EventTarget;
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
    via: import('./cuts.js').Transport;
};
export type Member = {
    id: string;
    user?: string;
    info?: any;
    since?: number;
};
export type Moved = {
    member: Member;
    count: number;
    /**
     * ms since 1970, by the hub's clock
     */
    time: number;
    /**
     * the transport that brought it
     */
    via: import('./cuts.js').Transport;
};
export type ChannelEventMap = {
    message: Received;
    /**
     * before the next event: some were forgotten
     */
    gap: {
        after: string;
        reason: 'evicted' | 'expired' | 'restart' | 'unknown';
        id: string;
        channel: string;
    };
    join: Moved;
    leave: Moved;
    /**
     * instead of both, where there are many members
     */
    count: {
        count: number;
        time: number;
        via: import('./cuts.js').Transport;
    };
    /**
     * the channel was refused
     */
    error: {
        error: TriwayError;
    };
    /**
     * nothing of the channel comes after
     */
    close: {};
};
export type Uses = {
    name: string;
    /**
     * JSON, or bytes as ArrayBuffer or a view; resolves when the hub has the event
     */
    publish: (data: any, options?: {
        name?: string;
        signal?: AbortSignal;
    }) => Promise<{
        id: string;
        reached: {
            ws: number;
            sse: number;
            poll: number;
        };
    }>;
    /**
     * calls `listener` for each event of that name; what it returns ends it
     */
    on: (name: string, listener: (data: any, event: Event & Received) => void) => () => void;
    /**
     * who is here
     */
    members: () => Promise<Member[]>;
    /**
     * ends the handle; nothing of the channel comes after
     */
    close: () => void;
};
export type Channel = Target<ChannelEventMap> & AsyncIterable<Event & Received> & Uses;
export type Kept = {
    since?: string;
    presence?: boolean;
    /**
     * its members are told as they come
     */
    isRead?: any;
    /**
     * what tabs do with its frames
     */
    take?: any;
    moved: (type: string, data: any, more?: object) => void;
    reload: () => Promise<void>;
};
export type Opened = Channel & Kept;
/**
 * An event target that knows its events by name.
 * @template Events
 * @typedef {{
 *   addEventListener<Type extends keyof Events>(type: Type, listener: (event: Event & Events[Type]) => void, options?: boolean | AddEventListenerOptions): void
 *   removeEventListener<Type extends keyof Events>(type: Type, listener: (event: Event & Events[Type]) => void, options?: boolean | EventListenerOptions): void
 * } & EventTarget} Target
 */
/**
 * @typedef {object} Received one event of a channel
 * @property {any} data an ArrayBuffer where bytes were published
 * @property {string} name
 * @property {string} id
 * @property {string} [from]
 * @property {number} time ms since 1970, by the hub's clock
 * @property {string} channel
 * @property {import('./cuts.js').Transport} via the transport that brought it
 *
 * @typedef {object} Member
 * @property {string} id
 * @property {string} [user]
 * @property {any} [info]
 * @property {number} [since]
 *
 * @typedef {object} Moved
 * @property {Member} member
 * @property {number} count
 * @property {number} time ms since 1970, by the hub's clock
 * @property {import('./cuts.js').Transport} via the transport that brought it
 *
 * @typedef {object} ChannelEventMap
 * @property {Received} message
 * @property {{after: string, reason: 'evicted' | 'expired' | 'restart' | 'unknown', id: string, channel: string}} gap before the next event: some were forgotten
 * @property {Moved} join
 * @property {Moved} leave
 * @property {{count: number, time: number, via: import('./cuts.js').Transport}} count instead of both, where there are many members
 * @property {{error: TriwayError}} error the channel was refused
 * @property {{}} close nothing of the channel comes after
 *
 * @typedef {object} Uses what an application does with a channel
 * @property {string} name
 * @property {(data: any, options?: {name?: string, signal?: AbortSignal}) => Promise<{id: string, reached: {ws: number, sse: number, poll: number}}>} publish JSON, or bytes as ArrayBuffer or a view; resolves when the hub has the event
 * @property {(name: string, listener: (data: any, event: Event & Received) => void) => () => void} on calls `listener` for each event of that name; what it returns ends it
 * @property {() => Promise<Member[]>} members who is here
 * @property {() => void} close ends the handle; nothing of the channel comes after
 *
 * @typedef {Target<ChannelEventMap> & AsyncIterable<Event & Received> & Uses} Channel
 */
/**
 * @typedef {object} Kept what the hub has of a channel
 * @property {string} [since]
 * @property {boolean} [presence]
 * @property {any} [isRead] its members are told as they come
 * @property {any} [take] what tabs do with its frames
 * @property {(type: string, data: any, more?: object) => void} moved
 * @property {() => Promise<void>} reload
 *
 * @typedef {Channel & Kept} Opened
 */
/** @param {EventTarget} target @param {string} type @param {object} [facts] that the event has as properties */
export declare const tell: (target: EventTarget, type: string, facts?: object) => boolean;
/**
 * The handle.
 * @param {string} name
 * @param {{since?: string, presence?: boolean}} options
 * @param {(json: string, signal?: AbortSignal) => Promise<any>} push
 * @param {() => Promise<{members: Member[]}>} who
 * @param {() => void} end
 * @returns {Opened}
 */
export declare function newChannel(name: string, { since, presence }: {
    since?: string;
    presence?: boolean;
}, push: (json: string, signal?: AbortSignal) => Promise<any>, who: () => Promise<{
    members: Member[];
}>, end: () => void): Opened;
