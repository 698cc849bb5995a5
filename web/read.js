/**
 * What attaches tell: hello, events, gaps, replies, the end. Moves cursors and places by the id
 * rules of the contract, and hands on what is new. Knows no wire and no ranking.
 */
import { alive, measured } from './ask.js'
import { wireName } from './attach.js'
import { refuse } from './join.js'
import { atOrBelow, foreign, MAGIC, TriwayError } from './frame.js'

/** @typedef {import('./client.js').Hub} Hub @typedef {import('./attach.js').Attach} Attach @typedef {import('./frame.js').Frame} Frame */

/** @param {Hub} hub @param {Attach} attach @param {Frame} frame */
export function onFrame(hub, attach, frame) {
  const { type, time } = frame
  const { transport, plan } = attach
  const { id } = plan
  if (type === 'hello') hello(hub, attach, frame)
  else if (type === 'reply') reply(hub, attach, frame)
  else if (type === 'bye') bye(hub, attach, frame)
  else if (type === 'head') attach.headed = true
  else read(hub, attach, frame)
  if (attach.stop.signal.aborted) return
  hub.see_('frame', { id, time, ping: type === 'ping' })
  if (transport === 'poll' && attach.cursor) hub.see_('proof', { id })
  if (attach === hub.carrier_) alive(hub, transport)
}

/** @param {Hub} hub @param {Attach} attach @param {Frame} frame */
function hello(hub, attach, { magic, nonce, id, session, heartbeat: beat = 0, network, build }) {
  const { plan, transport } = attach
  // A poll's nonce is judged with its answer.
  if (magic !== MAGIC || (transport !== 'poll' && nonce !== attach.nonce)) return onEnd(hub, attach, foreign())
  hub.tokenRefused_ = false
  attach.cursor = id
  attach.session = session
  if (hub.line_ && session?.id === hub.line_.session?.id) hub.line_.session = session
  // A poll may find in mid-chain that the hub no longer knows its session.
  if (attach === hub.carrier_) hub.adopt_(attach)
  hub.renewedAt_ = Date.now()
  // Before the next heartbeat, whose frame is what reminds us.
  hub.pingMs_ = 900 * beat
  hub.see_('hello', { id: plan.id, beat, network, build })
  if (transport === 'ws') {
    const sentAt = Date.now()
    attach.command({ type: 'ping' }, () => {
      measured(hub, sentAt)
      hub.see_('proof', { id: plan.id })
    })
  }
  if (hub.line_) return
  // The first hello is the line that all others continue, as its session. What was opened beside
  // it begins elsewhere, as somebody else: it begins anew.
  hub.line_ = attach
  for (const other of hub.attaches_.values()) {
    if (other === attach) continue
    other.stop.abort()
    hub.open_(other.plan)
  }
}

/** @param {Hub} hub @param {Attach} attach @param {Frame} frame */
function reply(hub, attach, frame) {
  const onReply = attach.replies.get(/** @type {number} */ (frame.ref))
  attach.replies.delete(/** @type {number} */ (frame.ref))
  if (onReply) onReply(frame)
  else if (attach === hub.carrier_) hub.sending_.reply(frame)
}

/** Event, gap, ping or the end of a poll: moves the cursor, and what is new goes to its handle. @param {Hub} hub @param {Pick<Attach, 'cursor' | 'covered' | 'transport'>} attach @param {Frame} frame */
export function read(hub, attach, frame) {
  const { type, channel = '', id, name = 'message', data, from, time = 0, after, reason } = frame
  if (!id) return
  // The replay of a subscribe moves only its channel's place.
  if (!channel || attach.covered.has(wireName(channel))) attach.cursor = id
  if (!channel || atOrBelow(id, hub.places_.get(channel))) return
  hub.share_?.read(frame)
  const via = attach.transport
  const watched = channel.replace(/^\$presence\//, '')
  const handle = hub.channels_.get(wireName(watched))
  if (!handle) return
  hub.places_.set(channel, id)
  if (watched !== channel) {
    if (type === 'event') handle.moved(name, data, { time, via })
    else handle.reload().catch(() => {})
  } else if (type === 'event') handle.heard({ data, name, id, from, time, channel, via })
  else handle.tell('gap', { after, reason, id, channel })
}

/** @param {Hub} hub @param {Attach} attach @param {Frame} frame */
function bye(hub, attach, { code, reason, reconnect, after_ms: afterMs }) {
  const why = 'bye:' + reason
  if (code === 3003) hub.token_ = undefined
  if (code === 3501) onEnd(hub, attach, new TriwayError('unauthorized', { status: 401, hint: reason }))
  else if (reconnect || attach !== hub.carrier_) gone(hub, attach, { why, afterMs, planned: true })
  else hub.finish_(why, new TriwayError('bye', { detail: reason }))
}

/** @param {Hub} hub @param {Attach} attach @param {any} error */
export function onEnd(hub, attach, error) {
  const { code, status = 0, hint, foreign, afterMs } = error ?? {}
  const why = error instanceof TriwayError ? code : attach.headed ? 'closed' : 'refused'
  const planned = status === 401
  if (hint && status < 500 && status !== 426 && status !== 429) {
    // The hub's word is final: for what was to be joined, or for all; the application is asked for a new token once.
    const joined = hub.carrier_ ? [...attach.covered].filter((name) => !hub.carrier_?.covered.has(name)) : []
    if (joined.length) refuse(hub, joined, error)
    else if (!planned || hub.tokenRefused_ || typeof hub.options_.token !== 'function') return hub.finish_(why, error)
    else {
      hub.tokenRefused_ = true
      hub.token_ = undefined
    }
  }
  gone(hub, attach, { why, afterMs, foreign, planned })
}

/** @param {Hub} hub @param {Attach} attach @param {import('./rungs.js').Fact} fact */
function gone(hub, { plan: { id } }, fact) {
  hub.drop_(id, /** @type {string} */ (fact.why))
  hub.see_('ended', { ...fact, id })
}
