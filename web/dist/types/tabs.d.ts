/**
 * Whether tabs of one browser share one connection, and from when on: at once if the application sets
 * `share`; otherwise if a transport other than WebSocket carries on HTTP/1.1, where a browser has six
 * connections to a hub for all its tabs. How they share is in share.js, which is loaded when it may be needed.
 */
export type Transport = import('./rungs.js').Transport;
export type More = {
    hub: import('./client.js').Hub;
    connection: import('./connection.js').Connection;
    errorOf: (problem: any) => import('./error.js').TriwayError;
};
export type Host = import('./connection.js').Owner & More;
/** Whether the hub is reached by HTTP/1.1. If the browser does not say, it counts as HTTP/1.1. @param {string} base */
export declare function isHttp1(base: string): boolean;
export declare class Tabs {
    #private;
    /** @param {Host} host */
    constructor(host: Host);
    /** Begins to read, unless another tab may read for this one. */
    start(): void;
    /**
     * An attempt begins. If it is no WebSocket, the part is loaded before streams use up all connections. On a network
     * that may be slow it is loaded only when the attempt carries, since loading would delay the proof. From now on
     * each publish has a key of its own, so that another tab can send it again.
     * @param {Transport} transport
     */
    onOpen(transport: Transport): void;
}
