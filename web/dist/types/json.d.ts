/**
 * Finds where JSON values begin and end, so that their text can be used unchanged: numbers beyond 2^53 stay
 * exact, and what a proxy appended to an answer is ignored. Pure.
 */
/** The text of the first complete value; empty if there is none. @param {string} text */
export declare function firstValue(text: string): string;
/** The members of an object, each as its text. @param {string} json @returns {Record<string, string>} */
export declare function membersOf(json: string): Record<string, string>;
/** The elements of an array, each as its text. @param {string} json @returns {string[]} */
export declare function elementsOf(json: string): string[];
