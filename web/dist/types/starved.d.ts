/**
 * A starved tab finds no free connection, because streams of other tabs hold all that the browser allows. It
 * asks those tabs over a BroadcastChannel, which exists on plain http, too. This is part of the first load,
 * since a starved tab cannot load anything else. It reports `starved`; the ladder decides.
 */
export type Transport = import('./rungs.js').Transport;
export declare class StarvedTabs {
    #private;
    /**
     * @param {object} context
     * @param {string} context.base address of the hub
     * @param {AbortSignal} context.signal ends it
     * @param {() => boolean} context.isReading a transport carries in this tab
     * @param {() => void} context.onStarvedTab another tab finds no free connection
     */
    constructor({ base, signal, isReading, onStarvedTab }: {
        base: string;
        signal: AbortSignal;
        isReading: () => boolean;
        onStarvedTab: () => void;
    });
    /** An attempt begins. A WebSocket does not count among the connections that a browser limits. @param {Transport} transport */
    onOpen(transport: Transport): void;
    /** Something was answered: connections are free. */
    onAnswer(): void;
}
