export type Transport = 'ws' | 'sse' | 'poll';
export type OpenStep = {
    do: 'open';
    /**
     * of the attempt; all later facts and steps about it carry this id
     */
    id: number;
    transport: Transport;
    /**
     * `TRANSPORT:CAUSE`, or a word without a colon, which is not sent to the hub
     */
    why: string;
    /**
     * heartbeat in seconds to request
     */
    beat?: number;
    /**
     * seconds that a poll may be held; 0 for short polls
     */
    wait?: number;
    /**
     * 1 if the head of a held poll must be sent at once
     */
    early?: number;
    /**
     * ms after which a poll that should be answered at once is sent on another connection
     */
    patience?: number;
    /**
     * ms between the answer to a short poll and the next request; absent unless polls are short
     */
    pause?: number;
};
export type Step = OpenStep | {
    do: 'close';
    id: number;
} | {
    do: 'carry';
    id: number;
    why: string;
} | {
    do: 'failed';
    id: number;
    why: string;
} | {
    do: 'state';
    state: LadderState;
    why: string;
} | {
    do: 'check';
} | {
    do: 'remember';
};
export type LadderState = 'connecting' | 'connected' | 'reconnecting' | 'captive' | 'offline';
export type FactType = 'start' | 'tick' | 'adapt' | 'rtt' | 'use' | 'reopen' | 'hello' | 'frame' | 'proof' | 'mute' | 'incomplete' | 'starved' | 'away' | 'ended' | 'checked' | 'offline' | 'online' | 'hidden' | 'visible' | 'pause' | 'blocked';
export type Fact = {
    /**
     * of the attempt
     */
    id?: number;
    /**
     * `ended`: a cause, a code of the hub, `bye:REASON`, or `http_STATUS`
     */
    why?: string;
    /**
     * `rtt`, `checked`: what the request took. `proof`: what the ping's reply took
     */
    ms?: number;
    /**
     * `use`
     */
    transport?: Transport | 'auto';
    /**
     * `hello`: heartbeat in seconds
     */
    beat?: number;
    /**
     * `hello`: tag of the client's network
     */
    network?: string;
    /**
     * `hello`: of the hub
     */
    build?: string;
    /**
     * `hello`: this hub sends lone pings on this attachment, after hello and after events. Absent for older hubs
     */
    probes?: boolean;
    /**
     * `frame`: it is a ping
     */
    ping?: boolean;
    /**
     * `frame`: it is an event or a gap
     */
    event?: boolean;
    /**
     * `frame`: the hub's clock
     */
    time?: number;
    /**
     * `ended`, `checked`: the hub said not to come back sooner
     */
    afterMs?: number;
    /**
     * `ended`: not the path's fault, so it teaches nothing
     */
    planned?: boolean;
    /**
     * `ended`, `checked`: something other than the hub answered
     */
    foreign?: boolean;
    /**
     * `checked`: the hub answered
     */
    ok?: boolean;
    /**
     * `adapt`: the part that is loaded after the first connection
     */
    adaptation?: import('./adaptation.js').Adaptation;
};
/**
 * The cause, from `CAUSES`, of an end as the client core names it.
 * @param {string} [why]
 * @returns {string}
 */
export declare function causeOf(why?: string): string;
/** Whether a cause says nothing about the transport, because the same may succeed later. @param {string} cause */
export declare const isPassing: (cause: string) => boolean;
