/**
 * One attach: one WS connection, one event stream, or one chain of polls, with the cursor that it
 * moves and the channels that the cursor covers. Knows no other attach and decides nothing: it
 * tells what it saw, in order, to the hub that opened it.
 */
import { nextRef } from './frame.js'
import { newNonce, readPoll } from './poll.js'
import { readSse } from './sse.js'
import { readWs } from './ws.js'

/** @typedef {import('./frame.js').Frame} Frame */
/** @typedef {import('./cuts.js').Transport} Transport */

/** Longest list of channels and starts in an address, in characters: proxies take 4 to 8 KB in all. */
const ADDRESS_LIST_MOST = 1500

const readers = { ws: readWs, sse: readSse, poll: readPoll }

/** The name under which a channel is asked for: events of an inbox carry its real name. @param {string} channel */
export const wireName = (channel) => (channel[0] === '@' ? '@' : channel)

/** @param {Record<string, any>} values */
export const query = (values) =>
  Object.entries(values)
    .map(([name, value]) => (value == null ? '' : `&${encodeURIComponent(name)}=${encodeURIComponent(value)}`))
    .join('')

/**
 * @typedef {object} Plan what an attach reads, and as whom
 * @property {number} id of the try
 * @property {string} why
 * @property {Transport} transport
 * @property {string} base address of the hub, with a slash at its end
 * @property {Map<string, string | undefined>} starts by wire name: `undefined` is covered by the cursor
 * @property {string} [cursor]
 * @property {Frame['session']} [session]
 * @property {string} [token]
 * @property {Record<string, any>} params more of the address, alike for each request
 * @property {import('./ws.js').Globals} globals
 */

export class Attach {
  nonce = newNonce()
  /** Subscribed, not yet covered. @type {Set<string>} */
  joining = new Set()
  stop = new AbortController()
  /** The way for publishes, where this wire can carry them. @type {((message: string | Uint8Array<ArrayBuffer>) => void) | undefined} */
  socket
  headed = false
  /** @type {Map<number, (reply: Frame) => void>} */
  replies = new Map()

  /** @param {Plan} plan */
  constructor(plan) {
    this.plan = plan
    this.transport = plan.transport
    this.covered = new Set(plan.starts.keys())
    /** Everything up to here is read, of the channels covered. */
    this.cursor = plan.cursor
    this.session = plan.session
  }

  /**
   * Reads to the end, telling each frame; then tells why it ended, unless it was closed here.
   * @param {(frame: Frame) => void} onFrame
   * @param {(error: any) => void} onEnd
   */
  async read(onFrame, onEnd) {
    const { nonce, transport, plan, stop } = this
    const { cursor, token, globals } = plan
    const inBody = transport !== 'ws' && this.list(cursor).length > ADDRESS_LIST_MOST
    let error
    try {
      const frames = readers[transport]({
        url: (cursor, nonce) => this.address(cursor, nonce, inBody),
        body: (cursor) => (inBody ? this.body(cursor) : undefined),
        cursor,
        nonce,
        signal: stop.signal,
        token,
        globals,
        sendable: (send) => (this.socket = send),
      })
      for await (const frame of frames) {
        if (stop.signal.aborted) return
        onFrame(frame)
      }
    } catch (caught) {
      error = caught
    }
    if (!stop.signal.aborted) onEnd(error)
  }

  /** A command whose reply is not the sending queue's. @param {object} command @param {(reply: Frame) => void} onReply */
  command(command, onReply) {
    const ref = nextRef()
    this.replies.set(ref, onReply)
    this.socket?.(JSON.stringify({ ...command, ref }))
  }

  /** Where channels start that the cursor does not cover, as long as it is the first. @param {string | undefined} cursor */
  starts(cursor) {
    return [...this.plan.starts].filter(([, start]) => start && cursor === this.plan.cursor)
  }

  /** Channels and starts, as in an address. @param {string | undefined} cursor */
  list(cursor) {
    const starts = this.starts(cursor).map(([name, start]) => ['since.' + name, start])
    return `channels=${[...this.covered].map(encodeURIComponent)}${query({ since: cursor, ...Object.fromEntries(starts) })}`
  }

  /** The same as the body of a POST. @param {string | undefined} cursor */
  body(cursor) {
    const since = { '': cursor, ...Object.fromEntries(this.starts(cursor)) }
    return JSON.stringify({ channels: [...this.covered], since, session: this.session?.key, token: this.plan.token })
  }

  /** @param {string | undefined} cursor @param {string} nonce @param {boolean} inBody */
  address(cursor, nonce, inBody) {
    const { transport, plan, session } = this
    const more = {
      ...plan.params,
      nonce,
      session: inBody ? undefined : session?.key,
      ...(transport === 'sse' && { format: 'full', probe: 1 }),
      // The first poll is the proof: it must not be held.
      ...(transport === 'poll' && nonce === this.nonce && { wait: 0, early: undefined }),
    }
    return `${plan.base}${transport}?${inBody ? '' : this.list(cursor)}${query(more)}`
  }
}
