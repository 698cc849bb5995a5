/** Bytes of the next page, for all histories of one hub. */
export declare class PageSize {
    bytes: number;
    /** Small pages are for what gets nothing else through: where they come, larger ones are tried. @param {number} tookMs `Infinity` where it failed */
    adapt(tookMs: number): void;
}
export type Sink = {
    take: (frame: import('./frame.js').Frame, via: import('./cuts.js').Transport | null) => void;
    /**
     * everything up to now was taken
     */
    done: () => void;
    refused: (error: any) => void;
};
/**
 * @typedef {object} Sink
 * @property {(frame: import('./frame.js').Frame, via: import('./cuts.js').Transport | null) => void} take
 * @property {() => void} done everything up to now was taken
 * @property {(error: any) => void} refused
 */
export declare class History {
    #private;
    since: string;
    /**
     * @param {string[]} names real ones, read one after the other
     * @param {string} since where to begin
     * @param {import('./subscription.js').Context} context
     * @param {Sink} sink
     * @param {Map<string, string>} [places] where an earlier one stopped, which this one goes on from
     */
    constructor(names: string[], since: string, context: import('./subscription.js').Context, sink: Sink, places?: Map<string, string>);
    /** Where it is to go on, if it is begun again. */
    get places(): Map<string, string>;
    /** A live event waits for what came before it. @param {import('./frame.js').Frame} frame */
    hold(frame: import('./frame.js').Frame): void;
    stop(): void;
}
