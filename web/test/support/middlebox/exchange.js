/**
 * One request and its response on their way through the middlebox, and the effect of the rule on them. Knows the
 * client's wire and the hub's address, but not the content.
 */
import { connect } from 'node:net'
import { cacheKey } from './altering.js'
import { answer } from './answer.js'
import { hasCredential, unauthorized } from './door.js'
import { answerBytes, headBytes, headerOf, without } from './http.js'
import { Wire } from './wire.js'

/** @typedef {import('../middlebox.js').Middlebox} Middlebox @typedef {import('../middlebox.js').Request} Request */

/** The page of a captive portal. Nothing in it looks like the hub. */
const PORTAL = '<!doctype html><title>Welcome</title><h1>Please log in to this network</h1>'

/** Headers that even a middlebox that drops unknown ones keeps. */
const PLAIN = ['host', 'connection', 'upgrade', 'content-length', 'content-type', 'transfer-encoding', 'accept', 'accept-encoding', 'user-agent', 'origin', 'cookie', 'cache-control']
/** The headers of a handshake. Without them the handshake fails, which is another fault than a lost header. */
const HANDSHAKE = /^sec-websocket-/

/**
 * @param {Middlebox} box
 * @param {Wire} client
 * @param {Request} request
 * @param {() => void} done the client's next request may begin
 * @returns {{onData?: (bytes: Buffer) => void, onEnd: () => void}}
 */
export function exchange(box, client, request, done) {
  const { kind, method, url } = request
  const rule = box.rule(kind, method)
  const what = instead(box, client, request, rule)
  box.asked.push({ at: Date.now(), kind, method, url, what })
  if (what) return { onEnd() {} }

  const forward = handOn(box, request, rule)
  const hub = answer(box, client, request, forward, done)
  if (rule.duplicate) {
    // The response to the copy is read completely and dropped: closing at once would undo the copy.
    const copy = handOn(box, request, rule)
    box.copies.add(copy)
    copy.onEnd = () => box.copies.delete(copy)
  }
  return hub
}

/**
 * Handles a request without the hub, if the rule says so. Returns what was done, or an empty string.
 * @param {Middlebox} box @param {Wire} client @param {Request} request @param {import('../middlebox.js').Rule} rule
 */
function instead(box, client, request, rule) {
  const { kind, url } = request
  const { captive, refuse, refuseNth, passNth, retryAfter, swallow, redirect, addressMost = Infinity, demand } = rule
  const say = (/** @type {number} */ status, /** @type {string} */ body, /** @type {[string, string][]} */ headers = []) => {
    client.write(answerBytes(status, body, headers))
    client.end()
  }
  if (captive) {
    say(captive, captive === 302 ? '' : PORTAL, captive === 302 ? [['Location', 'http://127.0.0.1:9/login']] : [])
    return `captive ${captive}`
  }
  const own = box.serve?.(url.split('?')[0])
  if (own) {
    client.write(Buffer.concat([headBytes({ start: 'HTTP/1.1 200 OK', headers: [['Content-Type', 'text/javascript'], ['Content-Length', String(own.length)], ['Connection', 'close']] }), own]))
    client.end()
    return 'served'
  }
  if (demand && kind !== 'other' && !hasCredential(request, demand)) {
    client.write(unauthorized(request))
    client.end()
    return 'unauthorized'
  }
  if (refuse && (!refuseNth || box.isNth('refuse', refuseNth)) && !box.isNth('pass', passNth)) {
    if (refuse === 'reset') client.reset()
    else say(refuse, refuse === 204 ? '' : '<h1>Refused by the gateway</h1>', retryAfter ? [['Retry-After', String(retryAfter)]] : [])
    return `refused ${refuse}`
  }
  if (url.length > addressMost) {
    say(414, '<h1>Too long an address</h1>')
    return 'too long'
  }
  if (redirect && !url.includes(SEEN)) {
    say(redirect, '', [['Location', url + (url.includes('?') ? '&' : '?') + SEEN]])
    return `redirected ${redirect}`
  }
  if (swallow) return 'swallowed'
  return fromCache(box, client, request, rule)
}

/** Marks an address that was redirected once. */
const SEEN = 'seen=1'

/** @param {Middlebox} box @param {Wire} client @param {Request} request @param {import('../middlebox.js').Rule} rule */
function fromCache(box, client, request, { cache }) {
  const kept = cache && request.method === 'GET' && box.kept.get(cacheKey(request, cache))
  if (!kept || (typeof cache === 'number' && !box.isNth('cache ' + request.kind, cache))) return ''
  client.write(kept)
  client.end()
  return 'cached'
}

/** What a middlebox puts before a body that it mistakes for a form. */
const CHANGED = Buffer.from('data=')

/** @param {Middlebox} box @param {Request} request @param {import('../middlebox.js').Rule} rule */
function handOn({ target }, { head, body, kind }, { strip = [], halve, body: change, queryMost = Infinity }) {
  if (halve) body = body.subarray(0, body.length >> 1)
  if (change) body = change === 'changed' && body.length ? Buffer.concat([CHANGED, body]) : Buffer.alloc(0)
  if (queryMost < Infinity) head = { ...head, start: head.start.replace(/\?(\S*)/, (_, query) => (queryMost ? '?' + query.slice(0, queryMost) : '')) }
  const hub = new Wire(connect({ port: target.port, host: target.host ?? '127.0.0.1', allowHalfOpen: true }))
  let handed = without(head, 'transfer-encoding', 'content-length', ...strip)
  if (strip.includes('unknown')) handed.headers = handed.headers.filter(([name]) => PLAIN.includes(name.toLowerCase()) || HANDSHAKE.test(name.toLowerCase()))
  if (kind !== 'ws') {
    // Each request has its own connection, which ends with the response.
    handed = without(handed, 'connection')
    handed.headers.push(['Connection', 'close'])
  }
  if (body.length || headerOf(head, 'content-length')) handed.headers.push(['Content-Length', String(body.length)])
  hub.write(Buffer.concat([headBytes(handed), body]))
  return hub
}
