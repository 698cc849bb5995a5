export type Transport = import('./rungs.js').Transport;
export type Try = import('./rungs.js').Try;
export type Fact = import('./rungs.js').Fact;
export type FactType = import('./rungs.js').FactType;
export type Step = import('./rungs.js').Step;
export type Ladder = import('./rungs.js').Ladder;
export type See = (fact: Fact, one: Try) => any;
/**
 * @param {Transport[]} transports the order is the preference
 * @param {() => number} random
 * @param {Record<string, any>} [memory] as an earlier ladder left it: what was learned, by network; and under '' the last one
 * @returns {Ladder}
 */
export declare function newLadder(transports: Transport[], random: () => number, memory?: Record<string, any>): Ladder;
