/**
 * What happens to the page, as facts for the ladder, and where memory is kept. Knows the browser's
 * globals. Where they are missing (workers, Node) nothing happens to the page, and memory lasts as
 * long as the process.
 */
/** @param {AbortSignal} signal ends it @param {(type: any) => void} onPageEvent */
export declare function watchPage(signal: AbortSignal, onPageEvent: (type: any) => void): void;
/** What the platform says of the network. */
export declare const link: () => string;
/** @param {string} base address of the hub @returns {Record<string, any> | undefined} */
export declare function load(base: string): Record<string, any> | undefined;
/** @param {string} base @param {object} memory */
export declare function keep(base: string, memory: object): void;
