/**
 * The JSON of a value.
 * @param {unknown} value
 * @returns {string}
 * @throws {TriwayError} `bad_data` where JSON would lose something, or fails
 */
export declare function jsonOf(value: unknown): string;
/** Bytes of a text in UTF-8. @param {string} text */
export declare const bytesOfText: (text: string) => number;
export type Encoded = {
    member: string;
    size: number;
};
/**
 * @typedef {{member: string, size: number}} Encoded the member of a command, and the bytes as the hub counts them
 */
/**
 * Data as a member of a command. A Blob is read, everything else is encoded at once: what the application
 * changes afterwards is not sent.
 * @param {any} data
 * @returns {Encoded | Promise<Encoded>}
 */
export declare function encode(data: any): Encoded | Promise<Encoded>;
/** The size of data that is known before it is read. @param {any} data */
export declare const sizeBefore: (data: any) => number;
/** Bytes that came as base64. @param {string} data64 */
export declare const bytesOf: (data64: string) => ArrayBuffer;
