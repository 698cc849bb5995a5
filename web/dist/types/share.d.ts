/**
 * One tab of an origin reads for all. The tab that holds the Web Lock leads: it runs the ladder and
 * tells every frame to the others over a BroadcastChannel. They keep their own places, so that the
 * next leader goes on from the last frame that was told. What was before, each tab, the leader too,
 * reads from the hub's history for itself; until then what is live waits. To their publishes the leader is a socket.
 * Loaded only with `share: true`.
 */
/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./attach.js').Attach} Attach @typedef {NonNullable<ReturnType<typeof share>>} Share */
export type Frame = import('./frame.js').Frame;
export type Attach = import('./attach.js').Attach;
export type Share = NonNullable<ReturnType<typeof share>>;
export type Transport = import('./cuts.js').Transport;
export type Shared = {
    since?: string;
    presence?: boolean;
    reload: () => any;
};
export type Line = Pick<Attach, 'reads' | 'cursor'>;
export type Inside = {
    base: string;
    asking: import('./ask.js').Asking;
    sending: import('./send.js').Sending;
    channels: Map<string, Shared>;
    places: Map<string, string>;
    line: (next?: Line) => Line | undefined;
    lead: () => void;
    read: (via: Transport | null, frame: Frame) => void;
    sync: () => void;
    wanted: (own?: boolean) => string[];
    change: (what: 'state' | 'transport', to: any, reason: string) => void;
    isReady: () => void;
};
/**
 * @typedef {object} Inside what is shared of the client's state
 * @property {string} base
 * @property {import('./ask.js').Asking} asking
 * @property {import('./send.js').Sending} sending
 * @property {Map<string, Shared>} channels
 * @property {Map<string, string>} places
 * @property {(next?: Line) => Line | undefined} line
 * @property {() => void} lead
 * @property {(via: Transport | null, frame: Frame) => void} read
 * @property {() => void} sync
 * @property {(own?: boolean) => string[]} wanted
 * @property {(what: 'state' | 'transport', to: any, reason: string) => void} change
 * @property {() => void} isReady
 */
/**
 * What it uses of the client is given, not imported: it is a file of its own.
 * @param {import('./client.js').Hub} hub
 * @param {Inside} inside
 */
export declare function share(hub: import('./client.js').Hub, { base, asking, sending, channels, places, line, lead, read, sync, wanted, change, isReady }: Inside): void | {
    /** What other tabs want. */
    wanted: () => string[];
    /** The leader's frames go to all. @param {Transport} via @param {Frame} frame */
    read(via: Transport, frame: Frame): void;
    sync: () => void;
    /** The leader changes for all. @param {string} transport */
    use: (transport: string) => void | undefined;
    /** The page may be frozen at any moment: another tab leads; and when the page is back, it stands in the queue anew. */
    leave: () => void;
    enter: () => void;
    close(): void;
};
