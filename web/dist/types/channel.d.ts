import { TriwayError } from './error.js';
export type Target<Events> = {
    addEventListener<Type extends keyof Events>(type: Type, listener: (event: Event & Events[Type]) => void, options?: boolean | AddEventListenerOptions): void;
    removeEventListener<Type extends keyof Events>(type: Type, listener: (event: Event & Events[Type]) => void, options?: boolean | EventListenerOptions): void;
} & EventTarget;
export type Received = {
    /**
     * an ArrayBuffer where bytes were published
     */
    data: any;
    /**
     * the data as the JSON text that was published, where numbers are exact; absent for bytes
     */
    text?: string;
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
    /**
     * it was left out on the way and read again: newer ones came before it
     */
    late?: boolean;
};
export type Member = {
    id: string;
    /**
     * null where it has none
     */
    user: string | null;
    /**
     * null where it has none
     */
    info: any;
    /**
     * ms since 1970; absent in joins and leaves
     */
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
        reason: 'evicted' | 'expired' | 'restart' | 'unknown' | 'incomplete';
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
     * everything from `since` to now was delivered; what follows is live
     */
    caughtup: {};
    /**
     * the channel was refused, or the hub ended
     */
    error: {
        error: TriwayError;
    };
    /**
     * nothing of the channel comes after
     */
    close: {
        error?: TriwayError;
    };
};
export type PublishOptions = {
    name?: string;
    signal?: AbortSignal;
};
export type Published = {
    id: string;
    reached: {
        ws: number;
        sse: number;
        poll: number;
    };
};
/** @param {EventTarget} target @param {string} type @param {object} [facts] that the event has as properties */
export declare const emit: (target: EventTarget, type: string, facts?: object) => boolean;
/** An event target that knows whether anybody listens for its end. */
export declare class Heard extends EventTarget {
    /** @param {string} type @param {any} listener @param {any} [options] @override */
    addEventListener(type: string, listener: any, options?: any): void;
}
/** Where nobody listens for errors, the console says one, once. @param {any} target @param {TriwayError} error @param {string} [where] */
export declare function warn(target: any, error: TriwayError, where?: string): void;
/** An event target whose events are typed. @type {new () => Target<ChannelEventMap>} */
declare const ChannelTarget: new () => Target<ChannelEventMap>;
export declare class Channel extends ChannelTarget {
    #private;
    name: string;
    /** @internal */
    wire: string;
    /** @internal Where it begins to read, until that was read. @type {string | undefined} */
    start: string | undefined;
    /** @internal */
    presence: boolean;
    /** Whether what came before is still being read. */
    loading: boolean;
    /**
     * Publishes JSON, or bytes as ArrayBuffer, view, Blob or File. Resolves when the hub has the event.
     * @param {any} [data] null where it is left out
     * @param {PublishOptions} [options]
     * @returns {Promise<Published>}
     */
    publish(data?: any, options?: PublishOptions): Promise<Published>;
    /**
     * Calls `listener` for each event of that name; what it returns ends it.
     * @param {string} name
     * @param {(data: any, event: Event & Received) => void} listener
     * @returns {() => void}
     * @throws {TriwayError} `bad_name` or `bad_option`
     */
    on(name: string, listener: (data: any, event: Event & Received) => void): () => void;
    /** Who is here. @returns {Promise<Member[]>} */
    members(): Promise<Member[]>;
    /** Ends this handle, and no other of the same channel; nothing of the channel comes after. */
    close(): void;
    /** The events pulled, from the first pull on, to the handle's end. @returns {AsyncGenerator<Event & Received>} */
    [Symbol.asyncIterator](): AsyncGenerator<Event & Received>;
}
export {};
