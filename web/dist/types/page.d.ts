/**
 * What the page goes through, told as facts for the ladder, and where what was learned is kept.
 * Knows the browser's globals; where they are missing (workers, Node) there is nothing to tell.
 */
/** @param {(type: 'online' | 'offline' | 'hidden' | 'visible' | 'pause' | 'start') => void} tell */
export declare function watchPage(tell: (type: 'online' | 'offline' | 'hidden' | 'visible' | 'pause' | 'start') => void): () => void;
/** @param {string} base address of the hub @returns {Record<string, any> | undefined} */
export declare function load(base: string): Record<string, any> | undefined;
/** @param {string} base @param {object} memory */
export declare function keep(base: string, memory: object): void;
