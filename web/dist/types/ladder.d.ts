/**
 * The ladder: what was observed, and when, decides which transports are tried, and when.
 *
 * Pure: the clock, randomness and memory are arguments; it knows no socket, no content of a frame and
 * no handle. Facts go in through `observe`, steps come out, and `wakeAt` says when to call it again
 * with a `tick` if nothing happens.
 *
 * An *attempt* is one attachment of one transport. The *carrier* is the proven attempt that carries
 * the session; there is none before the first proof, and after a cut. A *round* is a list of what is
 * still to be tried, each next to the one before it; a check, which finds out whether the hub is there
 * at all, is a round of its own. A round starts at the beginning, after a cut, when the carrier becomes
 * suspect, and when something better than the carrier is tried (the climb). It ends when an attempt
 * carries. If a round runs out without one, a pause follows, then a check.
 */
import { Attempts } from './attempts.js';
export type Transport = import('./rungs.js').Transport;
export type Step = import('./rungs.js').Step;
export type LadderState = import('./rungs.js').LadderState;
export type Fact = import('./rungs.js').Fact;
export type FactType = import('./rungs.js').FactType;
export type Attempt = import('./attempt.js').Attempt;
export declare class Ladder {
    #private;
    attempts: Attempts;
    /** @type {LadderState} */
    state: LadderState;
    /** When a transport left out frames. @type {Partial<Record<Transport, number>>} */
    incompleteAt: Partial<Record<Transport, number>>;
    /** Of the hub. @type {string | undefined} */
    build: string | undefined;
    /**
     * @param {object} options
     * @param {Transport[]} options.transports allowed; the order is the preference
     * @param {() => number} options.random
     * @param {Record<string, any>} [options.memory] as an earlier ladder left it
     * @param {string} [options.networkType] the type of the network, as the platform reports it; used until the hub names the network
     * @param {import('./adaptation.js').Adaptation} [options.adaptation] if it is loaded already
     */
    constructor({ transports, random, memory, networkType, adaptation }: {
        transports: Transport[];
        random: () => number;
        memory?: Record<string, any>;
        networkType?: string;
        adaptation?: import('./adaptation.js').Adaptation;
    });
    /** When to call `observe` with a `tick` if nothing happens. */
    get wakeAt(): number;
    get now(): number;
    /** What a later ladder may begin with. */
    get memory(): Record<string, any>;
    /** What is known of this network. */
    get learned(): Partial<Record<import("./rungs.js").Transport, import("./memory.js").Known>>;
    toJSON(): this & {
        learned: Partial<Record<import("./rungs.js").Transport, import("./memory.js").Known>>;
    };
    /**
     * @param {number} at by the page's clock
     * @param {FactType} type
     * @param {Fact} [fact]
     * @returns {Step[]}
     */
    observe(at: number, type: FactType, fact?: Fact): Step[];
}
