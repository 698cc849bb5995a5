/**
 * The way of a response to the client: held, delayed, lost or cut. Knows the two wires and the rule, but not how
 * the request was sent.
 */
import { answerBytes, chunkOf, framingOf, headBytes, headerOf, LAST_CHUNK, Messages, without } from './http.js'
import { holding } from './holding.js'
import { Line } from './wire.js'
import { Cutter } from './cutter.js'
import { framing } from './frames.js'
import { omitting } from './blocks.js'
import { alteredHead, bannered, cacheKey, isBannered, isBare } from './altering.js'

/** @typedef {import('./wire.js').Wire} Wire @typedef {import('./http.js').Head} Head */

/**
 * @param {import('../middlebox.js').Middlebox} box
 * @param {Wire} client
 * @param {import('../middlebox.js').Request} request
 * @param {Wire} hub
 * @param {() => void} done
 */
export function answer(box, client, request, hub, done) {
  const { kind, method } = request
  const rule = () => box.rule(kind, method)
  const isLost = box.isNth('lose ' + kind, rule().lose)
  const cutter = new Cutter(rule(), client, hub, () => box.cuts++)
  const way = new Way(box, client, request, cutter)
  const up = framing(rule, (bytes) => hub.write(bytes), () => cutter.cut())
  client.onFull = (isFull) => (isFull ? hub.pause() : hub.resume())
  let isOver = false
  const over = () =>
    way.end(() => {
      isOver = true
      hub.destroy()
      if (rule().oldHttp || rule().close) client.end()
      else done()
    })
  const messages = new Messages(
    (head) => {
      const isSwitched = / 101 /.test(head.start)
      if (isSwitched) cutter.switched()
      if (!isLost) way.head(head, isSwitched)
      // A response whose new status has no body has ended, even if the hub sends more.
      if (way.isBare) queueMicrotask(() => over())
      return isSwitched ? 'raw' : method === 'HEAD' || isBare(head) ? 'none' : framingOf(head, 'close')
    },
    (bytes) => isLost || way.pour(bytes),
    () => {
      isOver = true
      cutter.stop()
      if (isLost) return client.reset()
      over()
    },
  )
  hub.onData = (bytes) => {
    const { poison } = rule()
    if (poison && bytes.includes(poison)) return cutter.cut()
    try {
      messages.push(bytes)
    } catch {
      client.reset()
    }
  }
  hub.onEnd = () => {
    messages.close()
    cutter.stop()
    if (isOver || rule().hideEnd || isMuted(rule(), 'down', cutter.switchedAt)) return
    if (!way.hasBegun) client.write(answerBytes(502, '<h1>Nobody behind the gateway</h1>'))
    client.end()
  }
  return {
    onData(/** @type {Buffer} */ bytes) {
      if (isMuted(rule(), 'up', cutter.switchedAt)) return
      cutter.passed()
      up(bytes)
    },
    onEnd() {
      cutter.stop()
      hub.destroy()
    },
  }
}

/** @param {import('../middlebox.js').Rule} rule @param {'up' | 'down'} direction @param {number} since of the 101, 0 before it */
function isMuted({ mute, muteAfterMs = 0 }, direction, since) {
  return !!since && (mute === direction || mute === 'both') && Date.now() >= since + muteAfterMs
}

/** Decides what the client gets of the response, and when. */
class Way {
  #box
  #client
  #request
  #cutter
  /** @type {ReturnType<typeof holding> | undefined} */
  #held
  /** @type {import('./holding.js').Hold | undefined} */
  #holds
  #encodes = false
  /** @type {ReturnType<typeof bannered> | undefined} */
  #banner
  /** @type {((bytes: Buffer) => void) | undefined} of a WS */
  #frames
  /** @type {((bytes: Buffer) => void) | undefined} of an event stream from which blocks are omitted */
  #blocks
  /** Whether the status that the middlebox set has no body. */
  isBare = false
  #hasEnded = false
  /** Bytes of the body that have passed so far. */
  #poured = 0
  /** @type {Head | undefined} the head, while it is held too */
  #head
  #isRaw = false
  #isChunked = false
  #answeredAt = 0
  #line = new Line()
  /** Nothing is sent before this time. */
  #freeAt = Date.now()
  /** @type {Buffer[]} all that was sent, where it is to be kept */
  #kept = []

  /** @param {import('../middlebox.js').Middlebox} box @param {Wire} client @param {import('../middlebox.js').Request} request @param {Cutter} cutter */
  constructor(box, client, request, cutter) {
    this.#box = box
    this.#client = client
    this.#request = request
    this.#cutter = cutter
    this.#freeAt += this.#rule.lateMs ?? 0
  }

  get hasBegun() {
    return this.#answeredAt > 0
  }

  get #rule() {
    return this.#box.rule(this.#request.kind, this.#request.method)
  }

  /** @param {Head} head @param {boolean} isSwitched */
  head(head, isSwitched) {
    this.#answeredAt = Date.now()
    this.#isRaw = isSwitched
    if (isSwitched) return this.#send(headBytes(head))
    const { hold, holdAfterMs, holdAfterBytes, oldHttp, banner } = this.#rule
    head = alteredHead(without(head, 'connection'), this.#rule)
    this.isBare = isBare(head)
    if (this.#rule.omit) this.#blocks = omitting((text) => this.#isLeftOut(text), (bytes) => this.#body(bytes))
    if (isBannered(head, banner)) {
      this.#banner = bannered(banner, (bytes) => this.#on(bytes))
      head = without(head, 'content-length')
    }
    const encodes = (this.#encodes = hold === 'gzip' && /gzip/.test(headerOf(this.#request.head, 'accept-encoding') ?? ''))
    // If the length may change or is unknown, the body is sent in chunks.
    this.#isChunked = !oldHttp && !this.isBare && (encodes || headerOf(head, 'content-length') == null)
    const changed = without(head, 'transfer-encoding', ...(this.#isChunked ? ['content-length'] : []), ...(encodes ? ['content-encoding'] : []))
    if (this.#isChunked) changed.headers.push(['Transfer-Encoding', 'chunked'])
    if (encodes) changed.headers.push(['Content-Encoding', 'gzip'])
    if (hold === 'whole' && !holdAfterMs && !holdAfterBytes) this.#head = changed
    else this.#send(headBytes(changed))
  }

  /** @param {Buffer} bytes */
  pour(bytes) {
    this.#box.tap?.(this.#request, bytes)
    if (this.#isRaw) {
      if (isMuted(this.#rule, 'down', this.#answeredAt)) return
      this.#frames ??= framing(() => this.#rule, (bytes) => this.#send(bytes), () => this.#cutter.cut(), (text) => this.#isLeftOut(text))
      return this.#frames(bytes)
    }
    if (this.isBare) return
    if (this.#blocks) this.#blocks(bytes)
    else this.#body(bytes)
  }

  /** @param {string} text of a frame */
  #isLeftOut(text) {
    const { omit } = this.#rule
    return !!omit && this.#box.leavesOut(this.#request.kind, text, omit)
  }

  /** @param {Buffer} bytes */
  #body(bytes) {
    if (this.#banner) this.#banner.pour(bytes)
    else this.#on(bytes)
  }

  /** @param {Buffer} bytes of the body, passed on through the hold */
  #on(bytes) {
    this.#poured += bytes.length
    this.#startHolding(this.#rule)
    this.#held?.pour(bytes)
  }

  /**
   * Begins to hold: at once, late, or when the rule changes meanwhile. It never ends again.
   * @param {import('../middlebox.js').Rule} rule
   */
  #startHolding({ hold, holdAfterMs = 0, holdAfterBytes = 0 }) {
    const isLate = Date.now() < this.#answeredAt + holdAfterMs || this.#poured <= holdAfterBytes
    const wanted = isLate || (hold === 'gzip' && !this.#encodes) ? undefined : hold
    if (this.#held && (!wanted || wanted === this.#holds)) return
    this.#holds = wanted
    this.#held = holding(wanted, (piece) => this.#send(this.#isChunked ? chunkOf(piece) : piece))
  }

  /** @param {() => void} done */
  end(done) {
    this.#banner?.end()
    if (this.#hasEnded) return
    this.#hasEnded = true
    const finish = () => {
      if (this.#head) this.#send(headBytes(this.#head))
      this.#head = undefined
      if (this.#isChunked) this.#send(LAST_CHUNK)
      const { cache } = this.#rule
      // No cache keeps the response to a POST.
      if (cache && this.#request.method === 'GET') this.#box.kept.set(cacheKey(this.#request, cache), Buffer.concat(this.#kept))
      this.#later(done)
    }
    if (this.#held) this.#held.end(finish)
    else finish()
  }

  /** @param {Buffer} bytes */
  #send(bytes) {
    if (this.#head) {
      const head = headBytes(this.#head)
      this.#head = undefined
      this.#send(head)
    }
    if (this.#rule.cache) this.#kept.push(bytes)
    this.#later(() => this.#cutter.send(bytes))
  }

  /** @param {() => void} action */
  #later(action) {
    this.#line.add(Math.max(this.#freeAt, Date.now() + (this.#rule.lagMs ?? 0)), action)
  }
}
