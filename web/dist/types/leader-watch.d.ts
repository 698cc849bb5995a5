/** Watches the tab that leads, from a tab that follows it. A silent leader is asked first, then replaced. */
export declare class LeaderWatch {
    #private;
    /**
     * @param {object} context
     * @param {() => void} context.ask sends what a leader answers
     * @param {() => void} context.replace the leader is gone
     */
    constructor({ ask, replace }: {
        ask: () => void;
        replace: () => void;
    });
    start(): void;
    stop(): void;
    /** The leader sent something. */
    onMessage(): void;
}
