/** Why a publish, or a question, is rejected by the client itself. */
import { TriwayError } from './error.js';
/** @param {number} size bytes of its data @param {number} most */
export declare const tooLarge: (size: number, most: number) => TriwayError;
export declare const queueFull: () => TriwayError;
export declare const postBlocked: () => TriwayError;
/** No hub answers at this address; or the refusal, if one did. @param {TriwayError | undefined} problem why, if anything answered @param {string} base */
export declare function hubUnavailable(problem: TriwayError | undefined, base: string): TriwayError;
/**
 * It was not answered in time.
 * @param {any} reason why the last request failed
 * @param {number} timeoutMs
 * @param {import('./rungs.js').Transport | null} transport
 * @param {boolean} isSent the hub may have acted on it
 */
export declare function expired(reason: any, timeoutMs: number, transport: import('./rungs.js').Transport | null, isSent: boolean): TriwayError;
