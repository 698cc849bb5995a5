/**
 * Cuts an exchange: by age, by idleness, or in the middle of a piece. Knows only the two wires that it cuts.
 */
import { answerBytes } from './http.js'

export class Cutter {
  /** When the protocol was switched, or 0 before that. */
  switchedAt = 0
  #rule
  #client
  #hub
  #onCut
  #hasSent = false
  #isCut = false
  #beganAt = Date.now()
  #sent = 0
  /** @type {any} */
  #age
  /** @type {any} */
  #idle

  /** @param {import('../middlebox.js').Rule} rule @param {import('./wire.js').Wire} client @param {import('./wire.js').Wire} hub @param {() => void} onCut */
  constructor(rule, client, hub, onCut) {
    this.#onCut = onCut
    this.#rule = rule
    this.#client = client
    this.#hub = hub
    this.#start()
  }

  #start() {
    const { ageMs, idleMs } = this.#rule
    clearTimeout(this.#age)
    if (ageMs != null) this.#age = setTimeout(() => this.cut(), ageMs)
    if (idleMs != null) this.passed()
  }

  /** Restarts the age, which for a WS counts from the 101. */
  switched() {
    this.#beganAt = this.switchedAt = Date.now()
    this.#start()
  }

  /** Records that bytes passed, in either direction. */
  passed() {
    const { idleMs } = this.#rule
    if (idleMs == null || this.#isCut) return
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.cut(), idleMs)
  }

  /** @param {Buffer} bytes for the client */
  send(bytes) {
    if (this.#isCut) return
    this.passed()
    this.#hasSent = true
    const { tearMs, bytesMost = Infinity } = this.#rule
    this.#sent += bytes.length
    if (this.#sent > bytesMost) return this.cut()
    if (tearMs == null || Date.now() < this.#beganAt + tearMs || bytes.length < 2) return this.#client.write(bytes)
    this.#client.write(bytes.subarray(0, bytes.length >> 1))
    this.cut()
  }

  cut() {
    if (this.#isCut) return
    const { cutAs = 'end' } = this.#rule
    this.stop()
    this.#onCut()
    this.#isCut = true
    if (typeof cutAs === 'number' && !this.#hasSent) this.#client.write(answerBytes(cutAs, '<h1>The gateway gave up</h1>'))
    if (cutAs === 'reset') this.#client.reset()
    else this.#client.end()
    this.#hub.destroy()
  }

  stop() {
    clearTimeout(this.#age)
    clearTimeout(this.#idle)
  }
}
