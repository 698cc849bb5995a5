export type Entry = {
    /**
     * the command without its key; absent while a Blob is read
     */
    encoded?: string;
    /**
     * of the data, as the hub counts it
     */
    size: number;
    /**
     * of its own, instead of a number of the session
     */
    key?: any;
    /**
     * when it is rejected, by `performance.now()`, which no change of the clock moves
     */
    deadline: number;
    /**
     * when the hub may forget its key, by `Date.now()`, which includes sleep
     */
    keptUntil?: number;
    /**
     * the hub may have acted on it
     */
    isSent?: boolean;
    /**
     * a connection was cut for its size: it goes by a request of its own
     */
    isLarge?: boolean;
    resolve: (value: any) => void;
    reject: (error: any) => void;
};
export type Reply = import('./publish-requests.js').Reply;
export type Socket = (json: string, onReply: (reply: any) => any, entry: Entry) => void;
/**
 * @typedef {object} Entry
 * @property {string} [encoded] the command without its key; absent while a Blob is read
 * @property {number} size of the data, as the hub counts it
 * @property {any} [key] of its own, instead of a number of the session
 * @property {number} deadline when it is rejected, by `performance.now()`, which no change of the clock moves
 * @property {number} [keptUntil] when the hub may forget its key, by `Date.now()`, which includes sleep
 * @property {boolean} [isSent] the hub may have acted on it
 * @property {boolean} [isLarge] a connection was cut for its size: it goes by a request of its own
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 *
 * @typedef {import('./publish-requests.js').Reply} Reply
 * @typedef {(json: string, onReply: (reply: any) => any, entry: Entry) => void} Socket
 */
export declare class Outbox {
    #private;
    isShared: boolean;
    /** Of the hub, by its last hello. */
    limits: {
        data: number;
        address: number;
    };
    /** Id of the session whose numbers are the keys. */
    session: string;
    /**
     * @param {object} context
     * @param {import('./requests.js').Requests} context.requests
     * @param {number} context.timeoutMs how long a publish waits for its answer
     * @param {() => import('./rungs.js').Transport | null} context.transport that carries, named in errors
     * @param {() => Promise<boolean>} context.isHubThere requests something small
     * @param {(fact: import('./publish-requests.js').Fact) => void} context.report
     * @param {() => any} context.problem why nothing carries, if no request of a publish has failed
     * @param {boolean} context.isShared tabs share the connection: another tab may send a publish again, so its key must be the same in all tabs
     */
    constructor({ requests, timeoutMs, transport, isHubThere, report, problem, isShared }: {
        requests: import('./requests.js').Requests;
        timeoutMs: number;
        transport: () => import('./rungs.js').Transport | null;
        isHubThere: () => Promise<boolean>;
        report: (fact: import('./publish-requests.js').Fact) => void;
        problem: () => any;
        isShared: boolean;
    });
    /**
     * @param {object} command
     * @param {string} command.head JSON members before the data
     * @param {import('./data.js').Encoded | Promise<import('./data.js').Encoded>} command.data
     * @param {number} command.sizeBefore its size, as far as it is known before a Blob is read
     * @param {AbortSignal} [signal]
     * @returns {Promise<any>}
     */
    publish({ head, data, sizeBefore }: {
        head: string;
        data: import('./data.js').Encoded | Promise<import('./data.js').Encoded>;
        sizeBefore: number;
    }, signal?: AbortSignal): Promise<any>;
    /**
     * @param {string | undefined} encoded
     * @param {number} size
     * @param {AbortSignal} [signal]
     * @param {any} [key] given by another tab, with its deadline
     * @param {number} [deadline]
     * @returns {{entry: Entry, answer: Promise<any>}}
     */
    add(encoded: string | undefined, size: number, signal?: AbortSignal, key?: any, deadline?: number): {
        entry: Entry;
        answer: Promise<any>;
    };
    /** A publish that was sent through another tab was given up: it may still wait there. @type {((key: any) => void) | undefined} */
    onWithdrawn: ((key: any) => void) | undefined;
    /** Another tab gave up a publish that waits here. @param {any} key */
    withdraw(key: any): void;
    /**
     * From now on each publish has a key of its own, which is the same in whichever tab sends it.
     * @returns {Promise<void>} resolves when no publish with a number of this session waits for its answer
     */
    share(): Promise<void>;
    /** Holds back everything that was not sent yet, until `isHeld` is reset. A key belongs to one session, so what was sent must be answered first. @returns {Promise<void>} resolves when it is */
    drain(): Promise<void>;
    isHeld: boolean;
    /** Resolves when the queue is empty, or after `maxMs`. @param {number} maxMs @returns {Promise<void>} */
    idle(maxMs: number): Promise<void>;
    /**
     * Publishes take this route from now on; everything unanswered is sent again.
     * @param {Socket | boolean} [route] none while nothing carries
     * @param {string} [session] id of the session whose numbers are used; another session has a count of its own
     */
    setRoute(route?: Socket | boolean, session?: string): void;
    /**
     * A WebSocket was closed: marks the largest message under way, if that is probably the cause.
     * @param {number} code of the close
     * @returns {boolean} whether a message of this client caused it
     */
    wasCutBy(code: number): boolean;
    /** A request beside the publishes hangs. @param {number} requestedAt when it was sent */
    checkHub(requestedAt: number): Promise<boolean>;
    /** Ends the queue. @param {any} error with which everything in it is rejected */
    close(error: any): void;
}
