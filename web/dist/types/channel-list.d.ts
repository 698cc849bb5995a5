/**
 * Which channels are wanted, and what is done so that the carrier reads them: in place on WebSocket; on SSE
 * and polls, where nothing can be asked, by attaching again. Knows no ladder and no transport's ways.
 */
export type Attachment = import('./attachment.js').Attachment;
export type Connection = import('./connection.js').Connection;
export declare class ChannelList {
    #private;
    /** @param {import('./connection.js').Owner} owner @param {Connection} connection */
    constructor(owner: import('./connection.js').Owner, connection: Connection);
    /** Names that should be read now, of other tabs too. */
    wanted(): string[];
    /** The names that this tab reads. An inbox of another session can only be written to. */
    ownNames(): string[];
    /** Whether this session is shown to others. */
    isShown(): boolean;
    /** Soon brings what is read in line with what is wanted: in place on WebSocket; on SSE and polls, where nothing can be asked, by attaching again. */
    sync(): void;
    /** A channel was refused: for good, or until the hub has room. @param {string} channel @param {import('./error.js').Problem} error */
    refused(channel: string, error: import('./error.js').Problem): void;
    /** Nothing is asked for any more. */
    end(): void;
}
