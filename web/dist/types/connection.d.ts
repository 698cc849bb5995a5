/**
 * Reading: one loop of pick (ladder) → read (attachment) → hand over → move the cursor. Knows no transport's
 * ways and no ranking: attachments bring frames, the ladder alone decides which transport is tried when.
 */
import { Attachment } from './attachment.js';
import { TriwayError } from './error.js';
export type Frame = import('./frame.js').Frame;
export type Line = import('./attachment.js').Line;
export type Transport = import('./cuts.js').Transport;
export type Owner = {
    options: ReturnType<typeof import('./options.js').checkOptions>;
    requests: import('./requests.js').Requests;
    outbox: import('./outbox.js').Outbox;
    subscriptions: Map<string, import('./subscription.js').Subscription>;
    receive: (frame: Frame, via: Transport | null) => void;
    change: (what: 'state' | 'transport', to: any, reason: string, error?: TriwayError) => void;
    /**
     * publishes go as this session
     */
    adopt: (session: import('./frame.js').Session) => void;
    finish: (why: string, error: TriwayError) => void;
    refuse: (names: string[], error: any) => void;
    /**
     * an attempt begins
     */
    opens?: (transport: Transport) => void;
    /**
     * a request got an answer
     */
    answered?: () => void;
    /**
     * a round trip
     */
    measured: (ms: number) => void;
};
/**
 * @typedef {object} Owner what reading has of the hub
 * @property {ReturnType<typeof import('./options.js').checkOptions>} options
 * @property {import('./requests.js').Requests} requests
 * @property {import('./outbox.js').Outbox} outbox
 * @property {Map<string, import('./subscription.js').Subscription>} subscriptions
 * @property {(frame: Frame, via: Transport | null) => void} receive
 * @property {(what: 'state' | 'transport', to: any, reason: string, error?: TriwayError) => void} change
 * @property {(session: import('./frame.js').Session) => void} adopt publishes go as this session
 * @property {(why: string, error: TriwayError) => void} finish
 * @property {(names: string[], error: any) => void} refuse
 * @property {(transport: Transport) => void} [opens] an attempt begins
 * @property {() => void} [answered] a request got an answer
 * @property {(ms: number) => void} measured a round trip
 */
export declare class Connection {
    #private;
    /** Where reading goes on from: the carrier's, the last one's, or that of the first to say hello. @type {Line | undefined} */
    line: Line | undefined;
    /** Reads for other tabs, too, or is told by another one. @type {import('./share.js').Sharing | undefined} */
    sharing: import('./share.js').Sharing | undefined;
    /** Why nothing carries, as far as an answer told. @type {TriwayError | undefined} */
    problem: TriwayError | undefined;
    /** Another tab reads for this one: the ladder is parked. */
    isParked: boolean;
    /** What was seen and done, for the report. @type {any[][]} */
    log: any[][];
    /** @param {Owner} owner */
    constructor(owner: Owner);
    get learned(): Partial<Record<import("./cuts.js").Transport, import("./cuts.js").Known>>;
    /** The names that the cursor covers. */
    get covered(): string[];
    /** Whether another list of channels is being attached. */
    get isReopening(): boolean;
    get carrier(): Attachment | undefined;
    /** @param {import('./rungs.js').FactType} type @param {import('./rungs.js').Fact} [fact] */
    observe(type: import('./rungs.js').FactType, fact?: import('./rungs.js').Fact): void;
    /** Of this channel something may be missed from here on. @param {string} name @param {string} [cursor] */
    lose(name: string, cursor?: string): void;
    /** What comes of this channel from here on is complete. @param {string} name @param {string} [id] */
    gain(name: string, id?: string): void;
    /** Why nothing carries, and where. @param {any} [problem] */
    absence(problem?: any): TriwayError;
    /** Names that should be read now, of other tabs too. */
    wanted(): string[];
    /** Those of this tab alone. */
    ownNames(): string[];
    /** Soon brings what is read in line with what is wanted. */
    sync(): void;
    /** @returns {Promise<boolean>} whether the hub answers */
    isHubThere(): Promise<boolean>;
    /** A page of history by the carrier's WebSocket, or by a request. @param {string} channel @param {string} since @param {number} bytes @returns {Promise<string>} */
    history(channel: string, since: string, bytes: number): Promise<string>;
    /** A hello renews the session key. */
    renew(): void;
    /** Resolves when a session carries that was made after this, or after a while: whoever waits asks again then. @returns {Promise<void>} */
    renewed(): Promise<void>;
    /** Another tab reads, and told where it is. @param {Line} line */
    follow(line: Line): void;
    /** Presence ends at once. */
    leave(): void;
    /** @param {Transport | 'auto'} transport */
    use(transport: Transport | 'auto'): void;
    /** Another tab reads from now on, or none. @param {boolean} [isOver] the session ends with it */
    park(isOver?: boolean): void;
    start(): void;
    /** @param {string} why */
    end(why: string): void;
}
