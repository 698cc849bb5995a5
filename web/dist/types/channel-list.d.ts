/**
 * Which channels should be read, and how the carrier comes to read them: by commands on WebSocket; by
 * another attachment on SSE and polls, which accept no commands. Knows no ladder.
 */
export type Attachment = import('./attachment.js').Attachment;
export type Connection = import('./connection.js').Connection;
export declare class ChannelList {
    #private;
    /** @param {import('./connection.js').Owner} owner @param {Connection} connection */
    constructor(owner: import('./connection.js').Owner, connection: Connection);
    /** Names of channels to read, those of other tabs included. */
    wanted(): string[];
    /** Names of channels that this tab reads. The inbox of another session can only be published to. */
    ownNames(): string[];
    /** Whether this session is shown to others. */
    showsPresence(): boolean;
    /** Compares, in a microtask, the channels that are read with those that should be. */
    sync(): void;
    /** The hub refused a channel: for good, or until it has room. @param {string} channel @param {import('./error.js').Problem} error */
    refused(channel: string, error: import('./error.js').Problem): void;
    /** Stops all timers. */
    end(): void;
}
