/**
 * One tab of an origin reads for all. The tab that holds the Web Lock leads: it runs the ladder and
 * tells every frame to the others over a BroadcastChannel. They keep their own places, so that the
 * next leader goes on from the last frame that was told. Loaded only with `share: true`.
 */
/** @typedef {import('./client.js').Hub} Hub @typedef {import('./frame.js').Frame} Frame @typedef {NonNullable<ReturnType<typeof share>>} Share */
export type Hub = import('./client.js').Hub;
export type Frame = import('./frame.js').Frame;
export type Share = NonNullable<ReturnType<typeof share>>;
/**
 * What it uses of the client is given, not imported: it is a file of its own.
 * @param {Hub} hub
 * @param {{ask_: typeof import('./ask.js').ask, read_: typeof import('./read.js').read, sync_: typeof import('./join.js').sync, wanted_: typeof import('./join.js').wanted, TriwayError: typeof import('./frame.js').TriwayError}} client
 */
export declare function share(hub: Hub, { ask_: ask, read_: read, sync_: sync, wanted_: wanted, TriwayError }: {
    ask_: typeof import('./ask.js').ask;
    read_: typeof import('./read.js').read;
    sync_: typeof import('./join.js').sync;
    wanted_: typeof import('./join.js').wanted;
    TriwayError: typeof import('./frame.js').TriwayError;
}): void | {
    /** What other tabs want. */
    wanted: () => string[];
    /** The leader's frames go to all. @param {Frame} frame */
    read: (frame: Frame) => void | boolean;
    sync(): void;
    /** @param {Record<string, any>} command @param {any} data @param {AbortSignal} [signal] */
    push(command: Record<string, any>, data: any, signal?: AbortSignal): Promise<any>;
    close(): void;
};
