/**
 * Tabs of one browser that share one connection: one of them reads for all. Loaded only where tabs share.
 *
 * A tab is in one of three roles. `alone`: it reads for itself, or is frozen. `follows`: another tab reads, and tells
 * over a BroadcastChannel what comes. `leads`: it holds the Web Lock, reads for all, and publishes for all.
 *
 * The leader tells, in this order and over one channel, each frame, each channel that begins to be complete
 * (`gained`) or ceases to be (`lost`), and its whole state. A follower does with its subscriptions what the
 * leader does with its own, so that catching up is theirs. What a leader says carries its term: of two, the
 * later term counts. It knows no transport, and imports nothing that has a state: it is a file of its own.
 */
export type Frame = import('./frame.js').Frame;
export type Transport = import('./cuts.js').Transport;
export type Host = import('./tabs.js').Host;
export declare class Sharing {
    #private;
    /** @type {'alone' | 'follows' | 'leads'} */
    role: 'alone' | 'follows' | 'leads';
    /**
     * @param {Host} host
     * @param {boolean} isByDefault the tab reads for itself until another one reads all that it wants
     */
    constructor(host: Host, isByDefault: boolean);
    /** Looks for the tab that leads, and stands in line to lead. @param {any[]} alike what tabs must have in common */
    enter(alike: any[]): void;
    /** The page may be frozen at any moment: another tab leads; when it is back, it begins again. @param {string} type */
    onPage(type: string): void;
    /** Channels that other tabs want. */
    names(): string[];
    /** Whether this tab reads for others, too. */
    get hasOthers(): boolean;
    /** @param {Frame} frame @param {Transport | null} via */
    frame(frame: Frame, via: Transport | null): void;
    /** What comes of a channel from now on is complete. @param {string} name @param {string} [id] */
    gained(name: string, id?: string): void;
    /** @param {string} name @param {string} [cursor] */
    lost(name: string, cursor?: string): void;
    /** Frames were left out on the way. @param {string} name @param {any} hole */
    incomplete(name: string, hole: any): void;
    /** @param {string[]} names @param {any} error */
    refused(names: string[], error: any): void;
    /** @param {string} why @param {any} error */
    finished(why: string, error: any): void;
    /** The application of this tab chose a transport: all remember it, and the leader changes. @param {Transport | 'auto'} transport */
    use(transport: Transport | 'auto'): void;
    /** Something of the state may have changed, or what this tab wants. */
    synced(): void;
    /** A ping of the hub: tabs that say nothing any more are forgotten. */
    beat(): void;
}
