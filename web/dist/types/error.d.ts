/** The one error of the client. Knows no transport and no request. */
export type Problem = {
    code: string;
    title?: string;
    detail?: string;
    hint?: string;
    status?: number;
    /**
     * the number of a key that the hub expects next
     */
    expected?: number;
    /**
     * of the request that was refused
     */
    nonce?: string;
    /**
     * where the hub found a credential
     */
    credential?: string;
    /**
     * each channel with its refusal
     */
    refused?: {
        channel: string;
        error: Problem;
    }[];
};
export type Kind = 'final' | 'passing' | 'altered' | 'foreign' | 'away' | 'unreachable' | 'hung' | 'token';
/**
 * A refusal as the hub writes it (RFC 9457, with a stable `code`).
 * @typedef {object} Problem
 * @property {string} code
 * @property {string} [title]
 * @property {string} [detail]
 * @property {string} [hint]
 * @property {number} [status]
 * @property {number} [expected] the number of a key that the hub expects next
 * @property {string} [nonce] of the request that was refused
 * @property {string} [credential] where the hub found a credential
 * @property {{channel: string, error: Problem}[]} [refused] each channel with its refusal
 */
/**
 * What a failure proves. `final`: the hub read the request and refused it. `passing`: the hub refuses for now.
 * `altered`: the hub received something other than the client sent. `foreign`: something else answered.
 * `away`: a gateway cannot reach the hub. `unreachable`: no answer. `hung`: no answer in time. `token`: the
 * application's `token` failed.
 * @typedef {'final' | 'passing' | 'altered' | 'foreign' | 'away' | 'unreachable' | 'hung' | 'token'} Kind
 */
/** An error with a stable `code`, and a `hint` on what to do. */
export declare class TriwayError extends Error {
    code: string;
    /** @type {string | undefined} */
    hint: string | undefined;
    /** HTTP status, if there is one. @type {number | undefined} */
    status: number | undefined;
    /** The transport that carried when it happened. @type {import('./rungs.js').Transport | null | undefined} */
    transport: import('./rungs.js').Transport | null | undefined;
    /**
     * @param {string} code
     * @param {Partial<Problem> & {[member: string]: any}} [more]
     */
    constructor(code: string, { detail, ...more }?: Partial<Problem> & {
        [member: string]: any;
    });
}
/** The hint if no hub answers. */
export declare const NO_HUB = "Check that a hub runs at the address given to `connect`, its port and path, and the network.";
/** The error if a handle or hub is used after its end. @param {string} what */
export declare const closed: (what: string) => TriwayError;
/** An error as a line for the console. @param {TriwayError} error @param {string} [where] */
export declare const consoleText: ({ message, code, hint }: TriwayError, where?: string) => string;
