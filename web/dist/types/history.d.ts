/** Bytes of the next page, for all histories of one hub. */
export declare class PageSize {
    bytes: number;
    /** Pages shrink when they are slow or fail, and grow when they are quick. Below the first size, any page that arrives in time lets them grow. @param {number} tookMs `Infinity` if it failed */
    adapt(tookMs: number): void;
}
export type Sink = {
    receive: (frame: import('./frame.js').Frame, via: import('./rungs.js').Transport | null) => void;
    /**
     * everything up to now was received
     */
    done: () => void;
    refused: (error: any) => void;
};
/**
 * @typedef {object} Sink
 * @property {(frame: import('./frame.js').Frame, via: import('./rungs.js').Transport | null) => void} receive
 * @property {() => void} done everything up to now was received
 * @property {(error: any) => void} refused
 */
export declare class History {
    #private;
    since: string;
    /**
     * @param {string[]} names real ones, read one after the other
     * @param {string} since where it begins
     * @param {import('./subscription.js').Context} context
     * @param {Sink} sink
     * @param {Map<string, string>} [positions] where an earlier history stopped, and this one continues
     */
    constructor(names: string[], since: string, context: import('./subscription.js').Context, sink: Sink, positions?: Map<string, string>);
    /** Where another history continues. */
    get positions(): Map<string, string>;
    /** A live event waits until the history is read. @param {import('./frame.js').Frame} frame */
    hold(frame: import('./frame.js').Frame): void;
    stop(): void;
}
