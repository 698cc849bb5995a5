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
 * @typedef {object} Attach
 * @property {Open} step by which it was opened
 * @property {Reads} reads
 * @property {string} [cursor] everything up to here is read
 * @property {import('./frame.js').Session} [session] its own
 * @property {any} shown 1 when it shows the session in presence
 * @property {((message: string) => void) | undefined} [socket] where the wire carries commands
 * @property {(json: string, onReply?: (reply: Frame) => void) => void} command
 * @property {(code?: number) => void} stop a WS with this code: 1000 says that its session leaves, and not only this attach
 */

/**
 * @param {Open} step
 * @param {Pick<Attach, 'reads' | 'cursor' | 'shown'>} plan
 * @param {import('./client.js').Options} options
 * @param {import('./ask.js').Asking} asking
 * @param {(attach: Attach, frame: Frame) => void} heard
 * @param {(attach: Attach, fact: import('./rungs.js').Fact & {why: string, error?: TriwayError | false}) => void} ended
 * @returns {Attach}
 */
export function newAttach(step, plan, { heartbeat, info, WebSocket = globalThis.WebSocket }, asking, heard, ended) {
  const { at, answered, bearer, renew } = asking
  const { transport, why, beat = heartbeat, wait, early } = step
  const { reads, shown } = plan
  const stop = new AbortController()
  const { signal } = stop
  /** Awaited, by ref. @type {Map<number, (reply: Frame) => void>} */
  const replies = new Map()
  let lastRef = 0
  let nonce = ''
  let isGreeted = false
  /** @type {any} */
  let watch

  /** @type {Attach} */
  const attach = { ...plan, step, socket: undefined, session: asking.session, command, stop: (code = 4000) => (clearTimeout(watch), stop.abort(code)) }

  async function run() {
    let error
    try {
      if (transport === 'poll') await readPoll(request, () => nonce, hear)
      else if (transport === 'sse') await readSse(await request(), hear)
      else {
        const token = await bearer()
        await readWs(WebSocket, target()[0], token, attach, signal, hear)
      }
    } catch (caught) {
      error = caught
    }
    const { code = isGreeted ? 'closed' : 'refused', status = 0, hint, foreign, afterMs } = error instanceof TriwayError ? error : /** @type {Partial<TriwayError>} */ ({})
    // The word of a proxy may change, that of the hub is final.
    end({ why: code, foreign, afterMs, error: !!hint && status < 500 && status !== 426 && status !== 429 && /** @type {TriwayError} */ (error) })
  }

  /** @param {Parameters<typeof ended>[1]} fact */
  const end = (fact) => signal.aborted || ended(attach, fact)

  const request = (isPosted = false) => answered(...target(isPosted))

  /** What is asked for next: an address, and how. @param {boolean} [isPosted] @returns {[string, RequestInit]} */
  function target(isPosted) {
    signal.throwIfAborted()
    const { cursor, session } = attach
    const starts = [...reads].filter(([, start]) => start !== true)
    const channels = [...reads.keys()]
    const more = {
      nonce: (nonce = newNonce()),
      why: why.includes(':') ? why : undefined,
      heartbeat: beat,
      presence: shown,
      info: shown && info && JSON.stringify(info),
      ...(transport === 'sse' && { format: 'full', probe: 1 }),
      // The first poll is the proof: it must not be held.
      ...(transport === 'poll' && (isGreeted ? { wait, early } : { wait: 0 })),
    }
    const since = Object.fromEntries(starts.map(([name, start]) => ['since.' + name, start]))
    const address = `${at(transport, { ...more, since: cursor, ...since }, session)}&channels=${channels.map(encodeURIComponent)}`
    if (transport === 'ws' || (!isPosted && address.length < ADDRESS_MOST)) return [address, { signal }]
    const body = JSON.stringify({ channels, since: { '': cursor, ...Object.fromEntries(starts) } })
    return [at(transport, more, session), { signal, method: 'POST', body }]
  }

  /** @param {Frame} frame */
  function hear(frame) {
    const { type, id, channel = '', ref = 0, code = 0, reason, after_ms: afterMs, error } = frame
    if (signal.aborted) return
    if (type === 'reply') {
      replies.get(ref)?.(frame)
      replies.delete(ref)
      expect()
    }
    if (type === 'bye') {
      const isBack = (code === 3003 || code === 3501) && renew()
      // That the hub hears nothing is the way's fault.
      return end({ why: 'bye:' + reason, afterMs, planned: reason !== 'silent', error: !isBack && !frame.reconnect && new TriwayError(error?.code ?? 'bye', error) })
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
  function command(json, onReply = () => {}) {
    replies.set(++lastRef, onReply)
    attach.socket?.(`{"ref":${lastRef},${json.slice(1)}`)
    if (replies.size < 2) expect()
  }

  /** From now on a reply, if one is awaited. */
  function expect() {
    clearTimeout(watch)
    if (replies.size) watch = setTimeout(hear, ANSWER_MOST_MS, { type: 'mute' })
  }

  run()
  return attach
}
