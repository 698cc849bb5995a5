export type Hub = import('./client.js').Hub;
/** Asked once, and again when it was refused or has expired. @param {Hub} hub @returns {Promise<string | undefined>} */
export declare function credential(hub: Hub): Promise<string | undefined>;
/** @param {Hub} hub @param {string} path @param {string} [more] of the query @param {RequestInit} [init] @returns {Promise<any>} */
export declare function ask(hub: Hub, path: string, more?: string, init?: RequestInit): Promise<any>;
/** @param {Hub} hub @param {number} sentAt */
export declare function measured(hub: Hub, sentAt: number): void;
/** Is it the hub that answers? @param {Hub} hub */
export declare function check(hub: Hub): Promise<void>;
/** Something came on the carrier: a time to say that we are here, and who, as often as it is asked. @param {Hub} hub @param {string} transport */
export declare function alive(hub: Hub, transport: string): void;
/** A hello renews the session key; a poll that is not held brings one, whatever carries. @param {Hub} hub */
export declare function renew(hub: Hub): Promise<void>;
/** Presence ends at once. @param {Hub} hub */
export declare function leave(hub: Hub): void;
