export type Hub = import('./client.js').Hub;
export type Attach = import('./attach.js').Attach;
export type Frame = import('./frame.js').Frame;
/** @typedef {import('./client.js').Hub} Hub @typedef {import('./attach.js').Attach} Attach @typedef {import('./frame.js').Frame} Frame */
/** @param {Hub} hub @param {Attach} attach @param {Frame} frame */
export declare function onFrame(hub: Hub, attach: Attach, frame: Frame): void;
/** Event, gap, ping or the end of a poll: moves the cursor, and what is new goes to its handle. @param {Hub} hub @param {Pick<Attach, 'cursor' | 'covered' | 'transport'>} attach @param {Frame} frame */
export declare function read(hub: Hub, attach: Pick<Attach, 'cursor' | 'covered' | 'transport'>, frame: Frame): void;
/** @param {Hub} hub @param {Attach} attach @param {any} error */
export declare function onEnd(hub: Hub, attach: Attach, error: any): void;
