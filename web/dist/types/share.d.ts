/**
 * Tabs of one browser that share one connection: one of them reads for all. Loaded only where tabs share.
 *
 * A tab has one of three roles. `alone`: it reads for itself, or is frozen. `follows`: another tab reads, and
 * sends what arrives over a BroadcastChannel. `leads`: it holds the Web Lock, and reads and publishes for all.
 *
 * The leader sends, in order over one BroadcastChannel: each frame, each channel that begins to be complete
 * (`gained`) or stops being complete (`lost`), and its whole state. A follower applies them to its own
 * subscriptions, which then catch up by themselves. Each message of a leader carries its term; of two leaders
 * the one with the later term counts. Knows no transport, and imports nothing that has a state, since it is a
 * file of its own.
 */
export type Frame = import('./frame.js').Frame;
export type Transport = import('./rungs.js').Transport;
export type Host = import('./tabs.js').Host;
export { identityOf } from './identity.js';
export declare class Sharing {
    #private;
    /** @type {'alone' | 'follows' | 'leads'} */
    role: 'alone' | 'follows' | 'leads';
    /**
     * @param {Host} host
     * @param {boolean} isByDefault the tab reads for itself until another one reads all that it wants
     */
    constructor(host: Host, isByDefault: boolean);
    /** Looks for the tab that leads, and queues for the Web Lock. @param {any[]} alike what tabs must have in common to share */
    enter(alike: any[]): void;
    /** A cached page may be frozen at any moment, so another tab must lead. The page joins again when it is shown. @param {string} type */
    onPage(type: string): void;
    /** Channels that other tabs want. */
    names(): string[];
    /** Whether this tab reads for others, too. */
    get hasOthers(): boolean;
    /** @param {Frame} frame @param {Transport | null} via */
    frame(frame: Frame, via: Transport | null): void;
    /** From now on a channel is complete. @param {string} name @param {string} [id] */
    covered(name: string, id?: string): void;
    /** @param {string} name @param {string} [cursor] */
    uncovered(name: string, cursor?: string): void;
    /** Frames were lost on the way. @param {string} name @param {any} missing */
    incomplete(name: string, missing: any): void;
    /** @param {string[]} names @param {any} error */
    refused(names: string[], error: any): void;
    /** @param {string} why @param {any} error */
    finished(why: string, error: any): void;
    /** The application of this tab chose a transport: every tab remembers it, and the leader changes to it. @param {Transport | 'auto'} transport */
    use(transport: Transport | 'auto'): void;
    /** The state, or the channels of this tab, may have changed. */
    synced(): void;
    /** A ping of the hub arrived: silent tabs are forgotten. */
    beat(): void;
}
