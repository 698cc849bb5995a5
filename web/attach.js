/**
 * One attach: one WS connection, one event stream, or one chain of polls, with the cursor that it
 * moves and the channels that the cursor covers. Knows no other attach and decides nothing: it
 * tells what it saw, in order, to the hub that opened it.
 */
import { foreign, MAGIC, newNonce, TriwayError, wireName } from './frame.js'
import { readPoll } from './poll.js'
import { readSse } from './sse.js'
import { readWs } from './ws.js'

/** @typedef {import('./frame.js').Frame} Frame @typedef {import('./rungs.js').Step & {do: 'open'}} Open */

/** Longest address, in characters, where a body may say it instead: proxies take 4 to 8 KB of head in all. */
const ADDRESS_MOST = 2500
/** A socket that for so long, in ms, answers none of the commands that wait is mute. */
const ANSWER_MOST_MS = 5000

/**
 * What is read: channels by wire name. `true` are those that the cursor covers; of the others it
 * says where they start, until the hub confirms.
 * @typedef {Map<string, string | true>} Reads
 *
 * @typedef {object} Plan what is attached, beside the ladder's step
 * @property {Reads} reads
 * @property {string} [cursor] everything up to here is read
 * @property {import('./frame.js').Session} [session] its own
 * @property {any} shown 1 when it shows the session in presence
 *
 * @typedef {object} Ways
 * @property {((message: string) => void) | undefined} [socket] where the wire carries commands
 * @property {(json: string, onReply?: (reply: Frame) => void) => void} command only a WS tells the reply
 * @property {(code?: number) => void} stop a WS with this code: 1000 says that its session leaves, and not only this attach
 *
 * @typedef {Open & Plan & Ways} Attach
 */

/**
 * @param {Open & Plan} plan
 * @param {import('./client.js').Options} options
 * @param {import('./ask.js').Asking} asking
 * @param {(attach: Attach, frame: Frame) => void} heard
 * @param {(attach: Attach, why: string, error: Partial<TriwayError>) => void} ended
 * @returns {Attach}
 */
export function newAttach(plan, { heartbeat, info, WebSocket = globalThis.WebSocket }, asking, heard, ended) {
  const { transport, why, reads } = plan
  const stop = new AbortController()
  const { signal } = stop
  /** Awaited, in the order of the commands. @type {(((reply: Frame) => void) | undefined)[]} */
  const replies = []
  let nonce = ''
  let isGreeted = false
  /** @type {any} */
  let watch

  /** @type {Attach} */
  const attach = { ...plan, command, stop: (code = 4000) => (clearTimeout(watch), stop.abort(code)) }

  async function run() {
    /** @type {Partial<TriwayError>} */
    let error = {}
    try {
      if (transport === 'poll') await readPoll(request, () => nonce, hear)
      else if (transport === 'sse') await readSse(await request(), hear)
      else {
        const token = await asking.bearer()
        await readWs(WebSocket, target()[0], token, attach, signal, hear)
      }
    } catch (caught) {
      if (caught instanceof TriwayError) error = caught
    }
    if (!signal.aborted) ended(attach, error.why ?? error.code ?? (isGreeted ? 'closed' : 'refused'), error)
  }

  const request = (isPosted = false) => asking.answered(...target(isPosted))

  /** What is asked for next: an address, and how. @param {boolean} [isPosted] @returns {[string, RequestInit]} */
  function target(isPosted) {
    signal.throwIfAborted()
    const { cursor, session } = attach
    const more = {
      nonce: (nonce = newNonce()),
      why: why.includes(':') ? why : undefined,
      heartbeat: plan.beat ?? heartbeat,
      presence: plan.shown,
      info: plan.shown && JSON.stringify(info),
      ...(transport === 'sse' && { format: 'full', probe: 1 }),
      // The first poll is the proof: it must not be held.
      ...(transport === 'poll' && (isGreeted ? { wait: plan.wait, early: plan.early } : { wait: 0 })),
    }
    const channels = [...reads.keys()]
    const starts = [...reads].filter(([, start]) => start !== true)
    const since = Object.fromEntries(starts.map(([name, start]) => ['since.' + name, start]))
    const address = asking.at(transport, { ...more, since: cursor, ...since }, session) + '&channels=' + channels.map(encodeURIComponent)
    if (transport === 'ws' || (!isPosted && address.length < ADDRESS_MOST)) return [address, { signal }]
    const body = JSON.stringify({ channels, since: { '': cursor, ...Object.fromEntries(starts) } })
    return [asking.at(transport, more, session), { signal, method: 'POST', body }]
  }

  /** @param {Frame} frame */
  function hear(frame) {
    const { type, id, channel = '', code, error } = frame
    if (signal.aborted) return
    if (type === 'reply') {
      replies.shift()?.(frame)
      expect()
    }
    if (type === 'bye') {
      // That the hub hears nothing is the way's fault.
      throw new TriwayError(error?.code ?? type, { ...error, why: 'bye:' + frame.reason, afterMs: frame.after_ms, planned: frame.reason !== 'silent', isFinal: !((code === 3003 || code === 3501) && asking.renew()) && !frame.reconnect })
    }
    if (type === 'hello') {
      if (frame.magic !== MAGIC || frame.nonce !== nonce) throw foreign()
      attach.session = frame.session
    }
    // What comes begins where it was asked to; from here on the cursor says where it is.
    if (!isGreeted) for (const name of reads.keys()) reads.set(name, true)
    isGreeted = true
    // The replay of a subscribe moves only its channel's place, and a reply none.
    // After a gap with `more` another of the same id follows.
    if (id && !frame.more && type !== 'reply' && (!channel || reads.get(wireName(channel)) === true)) attach.cursor = id
    heard(attach, frame)
  }

  /** @param {string} json @param {(reply: Frame) => void} [onReply] */
  function command(json, onReply) {
    if (attach.socket) {
      attach.socket(json)
      if (replies.push(onReply) < 2) expect()
    } else asking.ask('send', {}, `[${json}]`).catch(() => {})
  }

  /** From now on a reply, if one is awaited. */
  function expect() {
    clearTimeout(watch)
    if (replies.length) watch = setTimeout(hear, ANSWER_MOST_MS, { type: 'mute' })
  }

  run()
  return attach
}
