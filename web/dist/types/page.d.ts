/**
 * What the page goes through, told as facts for the ladder, and where what was learned is kept.
 * Knows the browser's globals; where they are missing (workers, Node) there is nothing to tell.
 */
/** @param {AbortSignal} signal ends it @param {(type: any) => void} tell */
export declare function watchPage(signal: AbortSignal, tell: (type: any) => void): void;
/** What the platform says of the network. */
export declare const link: () => string;
/** @param {string} base address of the hub @returns {Record<string, any> | undefined} */
export declare function load(base: string): Record<string, any> | undefined;
/** @param {string} base @param {object} memory */
export declare function keep(base: string, memory: object): void;
