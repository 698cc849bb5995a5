export declare class HistoryRequests {
    #private;
    /**
     * @param {object} context
     * @param {import('./connection.js').Connection} context.connection
     * @param {import('./outbox.js').Outbox} context.outbox
     * @param {import('./requests.js').Requests} context.requests
     */
    constructor({ connection, outbox, requests }: {
        connection: import('./connection.js').Connection;
        outbox: import('./outbox.js').Outbox;
        requests: import('./requests.js').Requests;
    });
    /** @param {string} channel @param {string} since @param {number} bytes of data at most @returns {Promise<string>} the page, as JSON */
    page(channel: string, since: string, bytes: number): Promise<string>;
}
