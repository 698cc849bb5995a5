/**
 * Reading: one loop of choosing (ladder), reading (attachment), handing over frames and moving the cursor.
 * Attachments bring frames, and the ladder decides which transport is tried when. Knows the details of no
 * transport and no order of transports.
 *
 * States: `isParked` (another tab reads, so the ladder observes nothing), trying (attachments, but no carrier),
 * carrying (`carrier` is set), ended. Facts go to the ladder by `observe`, and its steps are performed here.
 */
import { Attachment } from './attachment.js';
import { TriwayError } from './error.js';
export type Frame = import('./frame.js').Frame;
export type Position = import('./attachment.js').Position;
export type Transport = import('./rungs.js').Transport;
export type Owner = {
    options: ReturnType<typeof import('./options.js').checkOptions>;
    requests: import('./requests.js').Requests;
    outbox: import('./outbox.js').Outbox;
    subscriptions: Map<string, import('./subscription.js').Subscription>;
    receive: (frame: Frame, via: Transport | null) => void;
    change: (what: 'state' | 'transport', to: any, reason: string, error?: TriwayError) => void;
    /**
     * publishes belong to this session from now on
     */
    adopt: (session: import('./frame.js').Session) => void;
    finish: (why: string, error: TriwayError) => void;
    refuse: (names: string[], error: any) => void;
    /**
     * an attempt begins
     */
    onOpen?: (transport: Transport) => void;
    /**
     * a request got an answer
     */
    onAnswer?: () => void;
    /**
     * a round trip
     */
    onRoundTrip: (ms: number) => void;
};
/**
 * @typedef {object} Owner what the connection uses of the hub
 * @property {ReturnType<typeof import('./options.js').checkOptions>} options
 * @property {import('./requests.js').Requests} requests
 * @property {import('./outbox.js').Outbox} outbox
 * @property {Map<string, import('./subscription.js').Subscription>} subscriptions
 * @property {(frame: Frame, via: Transport | null) => void} receive
 * @property {(what: 'state' | 'transport', to: any, reason: string, error?: TriwayError) => void} change
 * @property {(session: import('./frame.js').Session) => void} adopt publishes belong to this session from now on
 * @property {(why: string, error: TriwayError) => void} finish
 * @property {(names: string[], error: any) => void} refuse
 * @property {(transport: Transport) => void} [onOpen] an attempt begins
 * @property {() => void} [onAnswer] a request got an answer
 * @property {(ms: number) => void} onRoundTrip a round trip
 */
export declare class Connection {
    #private;
    /** Where reading continues: the position of the carrier, of the last carrier, or of the first attachment that received hello. @type {Position | undefined} */
    position: Position | undefined;
    /** Set where tabs share one connection. @type {import('./share.js').Sharing | undefined} */
    sharing: import('./share.js').Sharing | undefined;
    /** Why nothing carries, as far as an answer showed it. @type {TriwayError | undefined} */
    problem: TriwayError | undefined;
    /** Another tab reads for this one: the ladder observes nothing. */
    isParked: boolean;
    /** Facts and steps, for the report. @type {any[][]} */
    log: any[][];
    /** @param {Owner} owner */
    constructor(owner: Owner);
    /** Resolves when a transport carries; at once where another tab reads. @returns {Promise<void>} */
    whenCarried(): Promise<void>;
    /** The session of requests. @type {import('./frame.js').Session | undefined} */
    get session(): import('./frame.js').Session | undefined;
    /** A long token was exchanged for a session key. @param {import('./frame.js').Session} session */
    takeSession(session: import('./frame.js').Session): void;
    get learned(): Partial<Record<import("./rungs.js").Transport, import("./memory.js").Known>>;
    /** The names that the cursor covers. */
    get covered(): string[];
    /** Whether another list of channels is being attached. */
    get isReopening(): boolean;
    get carrier(): Attachment | undefined;
    /** @param {import('./rungs.js').FactType} type @param {import('./rungs.js').Fact} [fact] */
    observe(type: import('./rungs.js').FactType, fact?: import('./rungs.js').Fact): void;
    /** From here on events of this channel may be missed. @param {string} name @param {string} [cursor] */
    uncover(name: string, cursor?: string): void;
    /** From here on this channel is complete. @param {string} name @param {string} [id] */
    cover(name: string, id?: string): void;
    /** Why nothing carries, with the address of the hub. @param {any} [problem] */
    unavailable(problem?: any): TriwayError;
    /** Names of channels to read, those of other tabs included. */
    wanted(): string[];
    /** Names of channels that this tab reads. */
    ownNames(): string[];
    /** Compares, in a microtask, the channels that are read with those that should be. */
    sync(): void;
    /** @returns {Promise<boolean>} whether the hub answers */
    isHubThere(): Promise<boolean>;
    /** Requests another token, and attaches again: a hello renews the session. */
    renew(): void;
    /** Resolves when a session made after this call carries, or after a while; the caller then requests again. */
    renewed(): Promise<void>;
    /** Another tab reads, and sent its position. @param {Position} position */
    follow(position: Position): void;
    /** Leaves presence at once, without the grace of the hub. */
    leave(): void;
    /** @param {Transport | 'auto'} transport */
    use(transport: Transport | 'auto'): void;
    /** Stops reading in this tab. @param {boolean} [isOver] the session ends with it */
    park(isOver?: boolean): void;
    start(): void;
    /** @param {string} why */
    end(why: string): void;
}
