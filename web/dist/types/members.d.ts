export type Member = import('./channel.js').Member;
export type Frame = import('./frame.js').Frame;
export type Transport = import('./rungs.js').Transport;
export declare class Members {
    #private;
    /** @param {import('./subscription.js').Subscription} subscription @param {import('./subscription.js').Context} context */
    constructor(subscription: import('./subscription.js').Subscription, context: import('./subscription.js').Context);
    get isLoaded(): boolean;
    /** A member joined or left. @param {string} type join, leave or count @param {any} data @param {Frame} frame @param {Transport | null} via */
    onChange(type: string, data: any, { time, id }: Frame, via: Transport | null): void;
    /** Joins or leaves were missed: loads the members, and reports the difference. */
    reload(): Promise<void>;
    stop(): void;
}
