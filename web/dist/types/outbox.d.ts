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
     * its own
     */
    key?: any;
    /**
     * when it is rejected, by `performance.now()`: clocks are set
     */
    deadline: number;
    /**
     * when the hub may forget its key, by `Date.now()`, which counts sleep too
     */
    keptUntil?: number;
    /**
     * it may have acted
     */
    isSent?: boolean;
    /**
     * a connection ended over it: it goes by a request of its own
     */
    isLarge?: boolean;
    resolve: (value: any) => void;
    reject: (error: any) => void;
};
export type Reply = {
    ok?: any;
    id?: string;
    reached?: any;
    error?: any;
};
export type Socket = (json: string, onReply: (reply: any) => any, entry: Entry) => void;
export type Fact = 'expired' | 'blocked' | 'starved';
/**
 * @typedef {object} Entry
 * @property {string} [encoded] the command without its key; absent while a Blob is read
 * @property {number} size of the data, as the hub counts it
 * @property {any} [key] its own
 * @property {number} deadline when it is rejected, by `performance.now()`: clocks are set
 * @property {number} [keptUntil] when the hub may forget its key, by `Date.now()`, which counts sleep too
 * @property {boolean} [isSent] it may have acted
 * @property {boolean} [isLarge] a connection ended over it: it goes by a request of its own
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 *
 * @typedef {{ok?: any, id?: string, reached?: any, error?: any}} Reply
 * @typedef {(json: string, onReply: (reply: any) => any, entry: Entry) => void} Socket
 * @typedef {'expired' | 'blocked' | 'starved'} Fact
 */
export declare class Outbox {
    #private;
    isShared: boolean;
    /** What the hub takes, by its last hello. */
    limits: {
        data: number;
        address: number;
    };
    /** Under whose numbers it publishes. */
    session: string;
    /**
     * @param {object} context
     * @param {import('./requests.js').Requests} context.requests
     * @param {number} context.timeoutMs how long a publish waits
     * @param {() => import('./cuts.js').Transport | null} context.transport that carries, named in errors
     * @param {() => Promise<boolean>} context.isHubThere asks for something small
     * @param {(fact: Fact) => void} context.tell
     * @param {() => any} context.problem why nothing is sent, where no request has told it
     * @param {boolean} context.isShared by tabs: the reading tab may change before it has answered, and a key must be the same for all
     */
    constructor({ requests, timeoutMs, transport, isHubThere, tell, problem, isShared }: {
        requests: import('./requests.js').Requests;
        timeoutMs: number;
        transport: () => import('./cuts.js').Transport | null;
        isHubThere: () => Promise<boolean>;
        tell: (fact: Fact) => void;
        problem: () => any;
        isShared: boolean;
    });
    /**
     * @param {object} command
     * @param {string} command.head JSON members before the data
     * @param {import('./data.js').Encoded | Promise<import('./data.js').Encoded>} command.data
     * @param {number} command.sizeBefore what is known of its size before it is read
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
     * @param {any} [key] of another tab, with its deadline
     * @param {number} [deadline]
     * @returns {{entry: Entry, answer: Promise<any>}}
     */
    add(encoded: string | undefined, size: number, signal?: AbortSignal, key?: any, deadline?: number): {
        entry: Entry;
        answer: Promise<any>;
    };
    /** What was sent to another tab may still wait there. @type {((key: any) => void) | undefined} */
    givenUp: ((key: any) => void) | undefined;
    /** Another tab gave one up. @param {any} key */
    withdraw(key: any): void;
    /**
     * From now on each publish has a key of its own, which is the same whichever tab sends it.
     * @returns {Promise<void>} resolves when nothing that has a number of this session waits for its answer
     */
    share(): Promise<void>;
    /** Nothing new is sent until `isHeld` ends. A key counts for one session: what was sent is answered as that. @returns {Promise<void>} resolves when it was */
    drain(): Promise<void>;
    isHeld: boolean;
    /** Resolves when nothing waits, or after so long. @param {number} mostMs @returns {Promise<void>} */
    idle(mostMs: number): Promise<void>;
    /**
     * Publishes take this route from now on; all that has no answer is sent again.
     * @param {Socket | boolean} [route]
     * @param {string} [session] id of the session whose keys are used; a new one begins its own count
     */
    setRoute(route?: Socket | boolean, session?: string): void;
    /**
     * A WebSocket ended. Was it because of what we sent?
     * @param {number} code of its close
     * @returns {boolean} whether our own message caused it
     */
    wasCutBy(code: number): boolean;
    /** Whether the hub answers something else. Where it does not, although a stream lives, no connection is left. @param {number} askedAt when the request that fails was sent */
    doubt(askedAt: number): Promise<boolean>;
    /** Nothing more is sent. @param {any} error of what waits */
    close(error: any): void;
}
