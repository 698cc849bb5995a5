/**
 * One tab of an origin reads for all. The tab that holds the Web Lock leads: it runs the ladder and
 * tells every frame to the others over a BroadcastChannel. They keep their own places, so that the
 * next leader goes on from the last frame that was told. To their publishes the leader is a socket.
 * Loaded only with `share: true`.
 */
/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./attach.js').Attach} Attach @typedef {NonNullable<ReturnType<typeof share>>} Share */
export type Frame = import('./frame.js').Frame;
export type Attach = import('./attach.js').Attach;
export type Share = NonNullable<ReturnType<typeof share>>;
export type Line = Pick<Attach, 'reads' | 'cursor'>;
export type Inside = {
    base: string;
    asking: import('./ask.js').Asking;
    sending: import('./send.js').Sending;
    channels: Map<string, {
        since?: string;
    }>;
    places: Map<string, string>;
    line: (next?: Line) => Line | undefined;
    lead: () => void;
    read: (via: import('./cuts.js').Transport | null, frame: Frame) => void;
    sync: () => void;
    wanted: (own?: boolean) => string[];
    change: (what: 'state' | 'transport', to: any, reason: string) => void;
    isReady: () => void;
};
/** @typedef {Pick<Attach, 'reads' | 'cursor'>} Line where reading goes on from */
/**
 * @typedef {object} Inside what is shared of the client's state
 * @property {string} base
 * @property {import('./ask.js').Asking} asking
 * @property {import('./send.js').Sending} sending
 * @property {Map<string, {since?: string}>} channels
 * @property {Map<string, string>} places
 * @property {(next?: Line) => Line | undefined} line
 * @property {() => void} lead
 * @property {(via: import('./cuts.js').Transport | null, frame: Frame) => void} read
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
    /** The leader's frames go to all. @param {Frame} frame */
    read: (frame: Frame) => void | boolean;
    sync: () => void | true;
    /** The leader changes for all. @param {string} transport */
    use: (transport: string) => void | true;
    /** The page may be frozen at any moment: another tab leads; and when the page is back, it stands in the queue anew. */
    leave: () => void;
    enter: () => void;
    close(): void;
};
