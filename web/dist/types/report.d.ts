/**
 * What was tried, what was seen, how long it took, and why the present transport was chosen: as
 * data, and as text. Loaded only when it is asked for; knows the ladder's steps and facts by name.
 */
/** @param {import('./client.js').Hub} hub */
export declare function report({ state, transport, rtt, ladder_, log_: log }: import('./client.js').Hub): {
    state: "captive" | "closed" | "connected" | "connecting" | "offline" | "reconnecting";
    transport: import("./cuts.js").Transport | null;
    rtt: number | undefined;
    why: string;
    tries: any[];
    events: {
        at: number;
        what: string;
    }[];
    learned: import("./cuts.js").Learned;
};
