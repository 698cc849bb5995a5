/**
 * Whether tabs of one browser share one connection, and from when on: at once where the application says so
 * (`share`), otherwise below WebSocket on HTTP/1.1, where a browser has six connections to a hub for all its
 * tabs. How they share is in share.js, which is loaded when it may be needed.
 */
export type Transport = import('./cuts.js').Transport;
export type More = {
    hub: import('./client.js').Hub;
    connection: import('./connection.js').Connection;
    errorOf: (problem: any) => import('./error.js').TriwayError;
};
export type Host = import('./connection.js').Owner & More;
/** Whether the hub is reached by HTTP/1.1. What the browser does not tell counts as that. @param {string} base */
export declare function isHttp1(base: string): boolean;
export declare class Tabs {
    #private;
    /** @param {Host} host */
    constructor(host: Host);
    /** Begins to read, unless another tab may read for this one. */
    start(): void;
    /**
     * An attempt begins. Below WebSocket the part is loaded before streams take all connections; but on a network that
     * may be slow, only when the attempt carries, since loading would delay its proof. From now on nothing is published
     * that another tab could not publish again.
     * @param {Transport} transport
     */
    opens(transport: Transport): void;
}
