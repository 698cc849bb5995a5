/**
 * Events of the page, as facts for the ladder, and the storage of its memory. Knows the browser's globals. If
 * they are missing (workers, Node), there are no such events, and memory lasts as long as the process.
 */
/** @param {AbortSignal} signal ends it @param {(type: any) => void} onPageEvent */
export declare function watchPage(signal: AbortSignal, onPageEvent: (type: any) => void): void;
/** The type of the network, as the platform reports it. */
export declare const networkType: () => string;
/** @param {string} base address of the hub @returns {Record<string, any> | undefined} */
export declare function loadMemory(base: string): Record<string, any> | undefined;
/** @param {string} base @param {object} memory */
export declare function saveMemory(base: string, memory: object): void;
