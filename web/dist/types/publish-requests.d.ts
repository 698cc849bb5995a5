export type Reply = {
    ok?: any;
    id?: string;
    reached?: any;
    error?: any;
};
export type Fact = 'expired' | 'blocked' | 'starved';
/** @typedef {{ok?: any, id?: string, reached?: any, error?: any}} Reply @typedef {'expired' | 'blocked' | 'starved'} Fact */
export declare class PublishRequests {
    #private;
    /**
     * @param {object} context
     * @param {import('./requests.js').Requests} context.requests
     * @param {() => Promise<boolean>} context.isHubThere requests something small
     * @param {(fact: Fact) => void} context.report
     * @param {() => number} context.addressLimit of a publishing GET, in characters, as the hub states it
     */
    constructor({ requests, isHubThere, report, addressLimit }: {
        requests: import('./requests.js').Requests;
        isHubThere: () => Promise<boolean>;
        report: (fact: Fact) => void;
        addressLimit: () => number;
    });
    /** Another transport carries: what was found out about requests is out of date. */
    reset(): void;
    /** Commands that one request may have. */
    get batchMax(): number;
    /** A proxy refused a body of that size. @param {number} count of its commands */
    halveBatch(count: number): void;
    /** The pause before the next request, in ms. @param {number} [afterMs] as the hub asked for it */
    pauseMs(afterMs?: number): number;
    /** @param {string[]} commands as JSON; a single one where `batchMax` is 1 @returns {Promise<Reply[]>} */
    send(commands: string[]): Promise<Reply[]>;
    /** Whether the hub answers something else. If it does not, although a stream lives, no connection is left. @param {number} [requestedAt] when the request that fails was sent */
    checkHub(requestedAt?: number): Promise<boolean>;
    /**
     * A request failed while the hub answers something else: once that is sure, POST counts as blocked.
     * @param {any} error @param {boolean} isByPost it was a batch, and GET may be tried next
     * @returns {boolean} whether the publish is to be given up
     */
    observeBlocked(error: any, isByPost: boolean): boolean;
}
