/**
 * A tab that finds no connection to the hub, because streams of other tabs hold all that the browser has,
 * asks these over a BroadcastChannel, which plain http has, too. It is part of the first load: a starved tab
 * loads nothing more. It reports `starved`; the ladder decides.
 */
export type Transport = import('./cuts.js').Transport;
export declare class Starved {
    #private;
    /**
     * @param {object} context
     * @param {string} context.base address of the hub
     * @param {AbortSignal} context.signal ends it
     * @param {() => boolean} context.isReading a transport carries in this tab
     * @param {() => void} context.starve another tab finds no connection
     */
    constructor({ base, signal, isReading, starve }: {
        base: string;
        signal: AbortSignal;
        isReading: () => boolean;
        starve: () => void;
    });
    /** An attempt begins, by one of the connections that are few, or not. @param {Transport} transport */
    opens(transport: Transport): void;
    /** Something answered: there are connections. */
    answered(): void;
}
