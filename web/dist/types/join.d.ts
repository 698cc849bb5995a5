/**
 * Which channels are wanted, and how the carrier is brought in line with it: subscribed in place on
 * WS; on SSE and polls, where nothing can be asked, by attaching anew.
 */
import { TriwayError } from './frame.js';
export type Hub = import('./client.js').Hub;
/** @typedef {import('./client.js').Hub} Hub */
/** Names that should be read now. @param {Hub} hub @param {boolean} [own] without what other tabs want */
export declare function wanted(hub: Hub, own?: boolean): string[];
/** Where a channel starts that no cursor covers. @param {Hub} hub @param {string} name */
export declare const start: (hub: Hub, name: string) => string | undefined;
/** Soon brings what is read in line with what is wanted. @param {Hub} hub */
export declare function sync(hub: Hub): void;
/** These channels are not to be had; the others go on. @param {Hub} hub @param {string[]} channels @param {TriwayError} error */
export declare function refuse(hub: Hub, channels: string[], error: TriwayError): void;
