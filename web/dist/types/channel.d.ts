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
     * the data as the JSON text that was published, digit for digit; absent for bytes
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
    via: import('./rungs.js').Transport;
    /**
     * it was lost on the way and read again, after newer events were delivered
     */
    late?: boolean;
};
export type Member = {
    id: string;
    /**
     * null if it has none
     */
    user: string | null;
    /**
     * null if it has none
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
    via: import('./rungs.js').Transport;
};
export type ChannelEventMap = {
    message: Received;
    /**
     * events before the next one are missing
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
     * instead of both, if there are many members
     */
    count: {
        count: number;
        time: number;
        via: import('./rungs.js').Transport;
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
/** @param {EventTarget} target @param {string} type @param {object} [facts] properties of the event */
export declare const emit: (target: EventTarget, type: string, facts?: object) => boolean;
/** An event target that knows whether the application listens for errors or the end. */
export declare class ListenerTarget extends EventTarget {
    /** @param {string} type @param {any} listener @param {any} [options] @override */
    addEventListener(type: string, listener: any, options?: any): void;
}
/** Prints an error on the console, once, if the application does not listen for errors. @param {any} target @param {TriwayError} error @param {string} [where] */
export declare function warn(target: any, error: TriwayError, where?: string): void;
/** An event target whose events are typed. @type {new () => Target<ChannelEventMap>} */
declare const ChannelTarget: new () => Target<ChannelEventMap>;
export declare class Channel extends ChannelTarget {
    #private;
    name: string;
    /** @internal */
    wire: string;
    /** @internal Where its history begins, until that was read. @type {string | undefined} */
    start: string | undefined;
    /** @internal */
    presence: boolean;
    /** Whether its history is still being read. */
    loading: boolean;
    /**
     * Publishes JSON, or bytes as ArrayBuffer, view, Blob or File. Resolves when the hub has the event.
     * @param {any} [data] null if it is left out
     * @param {PublishOptions} [options]
     * @returns {Promise<Published>}
     */
    publish(data?: any, options?: PublishOptions): Promise<Published>;
    /**
     * Calls `listener` for each event of that name. Returns a function that ends this.
     * @param {string} name
     * @param {(data: any, event: Event & Received) => void} listener
     * @returns {() => void}
     * @throws {TriwayError} `bad_name` or `bad_option`
     */
    on(name: string, listener: (data: any, event: Event & Received) => void): () => void;
    /** The members that are present. @returns {Promise<Member[]>} */
    members(): Promise<Member[]>;
    /** Ends this handle, and no other of the same channel. It gets no events after that. */
    close(): void;
    /** The events from the first `next()` on, until the handle ends. @returns {AsyncGenerator<Event & Received>} */
    [Symbol.asyncIterator](): AsyncGenerator<Event & Received>;
}
export {};
