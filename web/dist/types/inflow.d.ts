/**
 * @template Item
 * @implements {AsyncIterable<Item>}
 */
export declare class Inflow<Item> implements AsyncIterable<Item> {
    /** @param {Item} item */
    push(item: Item): void;
    /** Ends the flow after what is already in it. @param {any} [error] */
    end(error?: any): void;
    [Symbol.asyncIterator](): AsyncGenerator<Awaited<Item>, void, unknown>;
}
/**
 * The frames of a WebSocket or an EventSource, which push alike.
 * @param {any} source
 * @param {AbortSignal} signal
 * @param {() => void} [opened]
 * @returns {AsyncGenerator<import('./frame.js').Frame>}
 */
export declare function pushed(source: any, signal: AbortSignal, opened?: () => void): AsyncGenerator<import('./frame.js').Frame>;
