import { newChannel } from './channel.js';
import { TriwayError } from './frame.js';
export { TriwayError };
export type Transport = import('./cuts.js').Transport;
export type Channel = import('./channel.js').Channel;
export type ChannelEventMap = import('./channel.js').ChannelEventMap;
export type Received = import('./channel.js').Received;
export type Member = import('./channel.js').Member;
export type Frame = import('./frame.js').Frame;
export type Attach = import('./attach.js').Attach;
export type Options = {
    /**
     * asked again when refused or expired
     */
    token?: string | (() => string | Promise<string>);
    /**
     * allowed; the order is a preference
     */
    transports?: Transport[];
    /**
     * shown in presence
     */
    info?: any;
    /**
     * closes the hub
     */
    signal?: AbortSignal;
    /**
     * seconds
     */
    heartbeat?: number;
    /**
     * one tab of this origin reads for all
     */
    share?: boolean;
    /**
     * where the platform has none, or another is wanted
     */
    fetch?: typeof globalThis.fetch;
    /**
     * the same
     */
    WebSocket?: any;
};
export type State = 'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline' | 'closed';
export type HubEventMap = {
    state: {
        from: State;
        to: State;
        reason: string;
        error?: TriwayError;
    };
    transport: {
        from: Transport | null;
        to: Transport | null;
        reason: string;
    };
};
export type Face = {
    state: State;
    /**
     * that carries
     */
    transport: Transport | null;
    session: {
        id: string;
    } | null;
    /**
     * round-trip time in ms
     */
    rtt?: number;
    /**
     * resolves with the first proven transport
     */
    ready: Promise<void>;
    /**
     * private events for this session and user
     */
    inbox: Channel;
    channel: (name: string, options?: {
        since?: string;
        presence?: boolean;
    }) => Channel;
    /**
     * changes the transport by hand, or back to the ladder's choice
     */
    use: (transport: Transport | 'auto') => void;
    /**
     * what was tried, seen and chosen, and why: data, and text by String(report)
     */
    report: () => Promise<import('./report.js').Report>;
    /**
     * ends everything; what waits to be sent is rejected
     */
    close: () => void;
};
export type Hub = import('./channel.js').Target<HubEventMap> & Face;
export type Inside = {
    base: string;
    asking: import('./ask.js').Asking;
    sending: import('./send.js').Sending;
    channels: Map<string, ReturnType<typeof newChannel>>;
    places: Map<string, string>;
    /**
     * where reading goes on from: the carrier, the last one, or the first to say hello
     */
    line?: Pick<Attach, 'reads' | 'cursor' | 'session'>;
    /**
     * another tab reads for this one: its ladder rests
     */
    rests?: boolean;
    look: (type: import('./rungs.js').FactType, fact?: import('./rungs.js').Fact) => void;
    /**
     * this tab reads
     */
    lead: () => void;
    deliver: (via: Transport | null, frame: Frame) => void;
    handleOf: (channel?: string) => ReturnType<typeof newChannel> | undefined;
    sync: () => void;
    wanted: () => string[];
    startOf: (name: string) => string | undefined;
    change: (what: 'state' | 'transport', to: any, reason: string) => void;
};
/** @param {string | URL} [address] of the hub @param {Options} [options] @returns {Hub} */
export declare function connect(address?: string | URL, options?: Options): Hub;
