/** Why a publish, or a question, is rejected, where the hub has not said it. */
import { TriwayError } from './error.js';
/** @param {number} size bytes of its data @param {number} most */
export declare const tooLarge: (size: number, most: number) => TriwayError;
export declare const queueFull: () => TriwayError;
export declare const postBlocked: () => TriwayError;
/** No hub answers at this address; unless one did, and refused. @param {TriwayError | undefined} problem why, where anything was answered @param {string} base */
export declare function absent(problem: TriwayError | undefined, base: string): TriwayError;
/**
 * It waited for as long as it may.
 * @param {any} reason why the last request failed
 * @param {number} timeoutMs
 * @param {import('./cuts.js').Transport | null} transport
 * @param {boolean} isSent it may have acted
 */
export declare function expired(reason: any, timeoutMs: number, transport: import('./cuts.js').Transport | null, isSent: boolean): TriwayError;
