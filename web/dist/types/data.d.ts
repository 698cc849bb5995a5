/**
 * The JSON of a value.
 * @param {unknown} value
 * @returns {string}
 * @throws {TriwayError} `bad_data`, if JSON would lose something, or fails
 */
export declare function jsonOf(value: unknown): string;
/** The length of a text in UTF-8, in bytes. @param {string} text */
export declare const bytesOfText: (text: string) => number;
export type Encoded = {
    member: string;
    size: number;
};
/**
 * @typedef {{member: string, size: number}} Encoded the member of a command, and the size in bytes, as the hub counts it
 */
/**
 * Data as a member of a command. A Blob is read; everything else is encoded at once, so that later changes by
 * the application are not sent.
 * @param {any} data
 * @returns {Encoded | Promise<Encoded>}
 */
export declare function encode(data: any): Encoded | Promise<Encoded>;
/** The size of data, as far as it is known before a Blob is read. @param {any} data */
export declare const sizeBefore: (data: any) => number;
/** Bytes from base64. @param {string} data64 */
export declare const bytesOf: (data64: string) => ArrayBuffer;
