/**
 * What was tried and observed, how long it took, and why the present transport was chosen: as data,
 * and as text. Loaded only when it is requested; knows the ladder's steps and facts by name.
 */
export type Report = ReturnType<typeof report>;
export type Known = import('./memory.js').Known;
/**
 * Its argument has plain names, so that it fits a client of another build.
 * @param {{state: string, transport: string | null, rtt?: number, learned: import('./memory.js').Learned, log: any[][]}} observed
 */
export declare function report({ state, transport, rtt, learned, log }: {
    state: string;
    transport: string | null;
    rtt?: number;
    learned: import('./memory.js').Learned;
    log: any[][];
}): {
    state: string;
    transport: string | null;
    rtt: number | undefined;
    why: string;
    tries: any[];
    events: {
        at: number;
        what: string;
    }[];
    learned: Partial<Record<import("./rungs.js").Transport, import("./memory.js").Known>>;
};
