/**
 * One tab of an origin reads for all. The tab that holds the Web Lock leads: it runs the ladder and
 * tells every frame to the others over a BroadcastChannel. They keep their own places, so that the
 * next leader goes on from the last frame that was told. What was before, each tab, the leader too,
 * reads from the hub's history for itself; until then what is live waits. To their publishes the leader is a socket.
 * Loaded only with `share: true`.
 */
/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./client.js').Inside} Inside @typedef {import('./cuts.js').Transport} Transport */
export type Frame = import('./frame.js').Frame;
export type Inside = import('./client.js').Inside;
export type Transport = import('./cuts.js').Transport;
/**
 * What it uses of the client is given, not imported: it is a file of its own.
 * @param {import('./client.js').Hub} hub
 * @param {Inside} inside
 */
export declare function share(hub: import('./client.js').Hub, inside: Inside): void;
