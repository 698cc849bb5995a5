/**
 * Finds where JSON values begin and end, so that texts can be taken out as they were sent: numbers beyond
 * 2^53 stay exact, and what a box appended to an answer is left out. Pure.
 */
/** The text of the first complete value; empty where there is none. @param {string} text */
export declare function firstValue(text: string): string;
/** The members of an object, each as its text. @param {string} json @returns {Record<string, string>} */
export declare function membersOf(json: string): Record<string, string>;
/** The elements of an array, each as its text. @param {string} json @returns {string[]} */
export declare function elementsOf(json: string): string[];
