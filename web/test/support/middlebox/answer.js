/**
 * The answer's way back: held, delayed, lost, cut. Knows the two wires and the rule, nothing of how
 * the request went out.
 */
import { answerBytes, chunkOf, framingOf, headBytes, headerOf, LAST_CHUNK, Messages, without } from './http.js'
import { holding } from './holding.js'
import { Cutter } from './cutter.js'

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
  let isOver = false
  const messages = new Messages(
    (head) => {
      const isSwitched = / 101 /.test(head.start)
      if (isSwitched) cutter.switched()
      if (!isLost) way.head(head, isSwitched)
      return isSwitched ? 'raw' : method === 'HEAD' || / (204|304) /.test(head.start) ? 'none' : framingOf(head, 'close')
    },
    (bytes) => isLost || way.pour(bytes),
    () => {
      isOver = true
      cutter.stop()
      if (isLost) return client.reset()
      way.end(() => {
        hub.destroy()
        done()
      })
    },
  )
  hub.onData = (bytes) => {
    try {
      messages.push(bytes)
    } catch {
      client.reset()
    }
  }
  hub.onEnd = () => {
    messages.close()
    cutter.stop()
    if (isOver || isMuted(rule(), 'down', cutter.switchedAt)) return
    if (!way.hasBegun) client.write(answerBytes(502, '<h1>Nobody behind the gateway</h1>'))
    client.end()
  }
  return {
    onData(/** @type {Buffer} */ bytes) {
      if (isMuted(rule(), 'up', cutter.switchedAt)) return
      cutter.passed()
      hub.write(bytes)
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

/** What the client gets of the answer, and when. */
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
  /** @type {Head | undefined} the head, while it is held too */
  #head
  #isRaw = false
  #isChunked = false
  #answeredAt = 0
  /** Nothing leaves before this. */
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
    const { hold, holdAfterMs } = this.#rule
    const encodes = (this.#encodes = hold === 'gzip' && /gzip/.test(headerOf(this.#request.head, 'accept-encoding') ?? ''))
    // Where the length may change, or was never told, the body goes on in chunks.
    this.#isChunked = encodes || headerOf(head, 'content-length') == null
    const changed = without(head, 'connection', 'transfer-encoding', ...(this.#isChunked ? ['content-length'] : []), ...(encodes ? ['content-encoding'] : []))
    if (this.#isChunked) changed.headers.push(['Transfer-Encoding', 'chunked'])
    if (encodes) changed.headers.push(['Content-Encoding', 'gzip'])
    if (hold === 'whole' && !holdAfterMs) this.#head = changed
    else this.#send(headBytes(changed))
  }

  /** @param {Buffer} bytes */
  pour(bytes) {
    const rule = this.#rule
    if (this.#isRaw) {
      if (isMuted(rule, 'down', this.#answeredAt)) return
      return this.#send(bytes)
    }
    this.#startHolding(rule)
    this.#held?.pour(bytes)
  }

  /**
   * Holding begins at once, late, or when the rule is changed on the way; it never ends again.
   * @param {import('../middlebox.js').Rule} rule
   */
  #startHolding({ hold, holdAfterMs = 0 }) {
    const isLate = Date.now() < this.#answeredAt + holdAfterMs
    const wanted = isLate || (hold === 'gzip' && !this.#encodes) ? undefined : hold
    if (this.#held && (!wanted || wanted === this.#holds)) return
    this.#holds = wanted
    this.#held = holding(wanted, (piece) => this.#send(this.#isChunked ? chunkOf(piece) : piece))
  }

  /** @param {() => void} done */
  end(done) {
    const finish = () => {
      if (this.#head) this.#send(headBytes(this.#head))
      this.#head = undefined
      if (this.#isChunked) this.#send(LAST_CHUNK)
      const { cache } = this.#rule
      if (cache) this.#box.kept.set(cache === 'url' ? this.#request.url : this.#request.kind, Buffer.concat(this.#kept))
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
    const waitMs = this.#freeAt - Date.now()
    if (waitMs > 0) setTimeout(action, waitMs)
    else action()
  }
}
