/**
 * Turns what is pushed (socket and EventSource callbacks, events for a loop) into what is pulled.
 * Knows nothing of what flows.
 */
/**
 * @template Item
 * @implements {AsyncIterable<Item>}
 */
export declare class Inflow<Item> implements AsyncIterable<Item> {
    #private;
    /** How much waits to be pulled. */
    get size(): number;
    /** @param {Item} item */
    push(item: Item): void;
    /** Ends the flow after what is already in it. @param {any} [error] */
    end(error?: any): void;
    [Symbol.asyncIterator](): AsyncGenerator<Awaited<Item>, void, unknown>;
}
