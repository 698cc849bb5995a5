/**
 * The tools of a scenario, inside its entry point: a page, a worker, a shared worker, a tab that shares, or a
 * thread of Node. A scenario is one function that uses only its arguments, because its source text is sent to the
 * entry point. This file knows no hub process and no browser; `control` reaches both.
 */

/** Time limit within which a mistake or a refusal is reported, in ms. */
export const REPORT_MS = 3000
/** The time limit of a wait, in ms. */
const WAIT_MS = 8000
/** The interval of the checks of a condition, in ms. */
const LOOK_EVERY_MS = 10

/**
 * @typedef {object} Setting
 * @property {string} client address of the built client
 * @property {string} address of the hub, through the middlebox
 * @property {string | ((name: string, args: any[]) => Promise<any>)} control
 * @property {'ws' | 'sse' | 'poll' | 'any'} transport
 * @property {string} seat
 * @property {boolean} [share]
 * @property {string} run unique name of this run
 * @property {any} [given] the case of a table
 * @property {number} limitMs
 */

/** Unhandled errors. @type {any[]} */
const stray = []
if (globalThis.process?.on) process.on('unhandledRejection', (error) => stray.push(error))
else {
  globalThis.addEventListener('unhandledrejection', ({ reason }) => stray.push(reason))
  globalThis.addEventListener('error', (event) => stray.push(/** @type {ErrorEvent} */ (event).error ?? event))
}

/** Returns a text for any value. The order of members does not matter. @param {any} value */
export function textOf(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    const view = /** @type {any} */ (value)
    return 'bytes ' + Array.from(new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength)).join(' ')
  }
  const sorted = (/** @type {string} */ _, /** @type {any} */ one) => {
    if (typeof one === 'bigint') return one + 'n'
    if (one === undefined) return '(undefined)'
    if (!one || typeof one !== 'object' || Array.isArray(one)) return one
    return Object.fromEntries(Object.entries(one).sort(([name], [other]) => (name < other ? -1 : 1)))
  }
  return String(JSON.stringify(value, sorted))
}

/** Returns the part of a long text around the position where it differs. @param {string} text @param {number} at */
const around = (text, at) => (text.length > 200 ? `…${text.slice(Math.max(0, at - 60), at + 120)}… (from ${at} of ${text.length})` : text)

export class Kit {
  /** The number of assertions. */
  checks = 0
  /** @type {string[]} */
  notes = []
  /** @type {any[]} */
  #hubs = []
  #rooms = 0

  /** @param {any} client module @param {Setting} setting @param {any} WebSocket where the platform has none */
  constructor(client, setting, WebSocket) {
    this.client = client
    this.TriwayError = client.TriwayError
    this.WebSocket = WebSocket
    this.setting = setting
    this.transport = setting.transport
    this.address = setting.address
    this.given = setting.given
    this.seat = setting.seat
  }

  // Requests to the hub's side.

  /** @param {string} name @param {any[]} args @returns {Promise<any>} */
  async ask(name, ...args) {
    const { control } = this.setting
    if (typeof control === 'function') return control(name, args)
    const answer = await (await fetch(control, { method: 'POST', body: JSON.stringify({ name, args }) })).json()
    if (answer.error) throw new Error(answer.error)
    return answer.value
  }

  /** Publishes directly to the hub, as a backend does. @param {string} channel @param {any} data @param {any} [how] `{raw, type, name}` @returns {Promise<any>} */
  post(channel, data, how = {}) {
    return this.ask('post', channel, how.raw ?? JSON.stringify(data), how)
  }

  /** Returns how many readers an event of this channel reaches. @param {string} channel */
  async readers(channel) {
    const { reached } = await this.post(channel, 'count', { name: 'count' })
    return reached.ws + reached.sse + reached.poll
  }

  // Calls of the client.

  /** @param {any} [more] */
  options(more = {}) {
    return {
      ...(this.transport !== 'any' && { transports: [this.transport] }),
      ...(this.WebSocket && { WebSocket: this.WebSocket }),
      ...(this.setting.share && { share: true }),
      ...more,
    }
  }

  /** @param {any} [more] @param {any} [address] @returns {any} a hub, closed when the scenario ends */
  connect(more, address = this.address) {
    const hub = this.client.connect(address, this.options(more))
    this.#hubs.push(hub)
    return hub
  }

  /** @param {any} [more] @returns {Promise<any>} a hub that is connected */
  async ready(more) {
    const hub = this.connect(more)
    await this.within(hub.ready, WAIT_MS, 'ready')
    return hub
  }

  /** Returns a name that no other run uses. @param {string} [word] */
  room(word = 'room') {
    return `${word}/${this.setting.run}/${++this.#rooms}`
  }

  /** Returns a list that collects the data of each message, in order. @param {any} channel @returns {any[]} */
  heard(channel) {
    /** @type {any[]} */
    const list = []
    channel.addEventListener('message', (/** @type {any} */ { data, name }) => name === 'count' || list.push(data))
    return list
  }

  /** Returns a list that collects events of these types, in order. @param {any} target @param {string[]} types @returns {any[]} the events */
  events(target, ...types) {
    /** @type {any[]} */
    const list = []
    for (const type of types) target.addEventListener(type, (/** @type {any} */ event) => list.push(event))
    return list
  }

  /** Returns a `fetch` and a `WebSocket` that append `more` to each address while `isOn()`. @param {string} more @param {() => boolean} [isOn] */
  spoiled(more, isOn = () => true) {
    const spoil = (/** @type {any} */ address) => (isOn() ? String(address) + (String(address).includes('?') ? '&' : '?') + more : String(address))
    const Platform = this.WebSocket ?? globalThis.WebSocket
    return {
      fetch: (/** @type {any} */ address, /** @type {any} */ init) => fetch(spoil(address), init),
      WebSocket: class extends Platform {
        /** @param {any} address @param {any} protocols */
        constructor(address, protocols) {
          super(spoil(address), protocols)
        }
      },
    }
  }

  // Assertions.

  /** @param {any} actual @param {any} expected @param {string} what */
  is(actual, expected, what) {
    this.checks++
    const [got, wanted] = [textOf(actual), textOf(expected)]
    if (got === wanted) return
    let at = 0
    while (got[at] === wanted[at]) at++
    throw new Error(`${what}: got ${around(got, at)}, expected ${around(wanted, at)}`)
  }

  /** @param {any} value @param {string} what */
  ok(value, what) {
    this.checks++
    if (!value) throw new Error(what)
  }

  /** @param {() => any} condition @param {string | (() => string)} what @param {number} [ms] */
  async until(condition, what, ms = WAIT_MS) {
    this.checks++
    const end = Date.now() + ms
    for (;;) {
      const value = await condition()
      if (value) return value
      if (Date.now() > end) throw new Error(`after ${ms} ms still not: ${typeof what === 'string' ? what : what()}`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
  }

  /** @template T @param {Promise<T>} promise @param {number} ms @param {string} what @returns {Promise<T>} */
  within(promise, ms, what) {
    this.checks++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms)
      promise.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }

  /** Waits for a time in which something must not happen. @param {number} ms */
  observe(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms))
  }

  /** Checks that a report is a TriwayError with a code and a message. @param {any} error @param {string | string[]} codes @param {string} what */
  isReport(error, codes, what) {
    const list = [codes].flat()
    this.ok(error instanceof this.TriwayError, `${what}: ${String(error)} (${error?.name}) is no TriwayError`)
    this.ok(!list[0] || list.includes(error.code), `${what}: the code is ${error.code}, expected ${list}`)
    this.ok(error.code === 'closed' || (error.message && error.message !== error.code), `${what}: ${error.code} has no message that a person can read`)
  }

  /** Checks that the call itself throws. @param {() => any} call @param {string | string[]} codes @param {string} what */
  throws(call, codes, what) {
    let value
    try {
      value = call()
    } catch (error) {
      this.isReport(error, codes, what)
      return
    }
    if (value?.state && value.close) this.#hubs.push(value)
    this.ok(false, `${what}: nothing was thrown`)
  }

  /** @param {Promise<any>} promise @param {string | string[]} codes @param {string} what @param {number} [ms] */
  async rejects(promise, codes, what, ms = REPORT_MS) {
    const error = await this.within(promise.then(() => undefined, (error) => error ?? new Error('rejected with nothing')), ms, what)
    this.ok(error, `${what}: it resolved`)
    this.isReport(error, codes, what)
    return error
  }

  /**
   * Returns the first report of any kind: thrown, from `ready`, `closed`, `state` or `error`, or from the returned
   * promise.
   * @param {(watch: (target: any) => any) => any} start @param {string} what @param {number} [ms]
   * @returns {Promise<any>} the error
   */
  reported(start, what, ms = REPORT_MS) {
    /** @type {(error: any) => void} */
    let report = () => {}
    const found = new Promise((resolve) => (report = (error) => error && resolve(error)))
    const watch = (/** @type {any} */ target) => {
      for (const type of ['error', 'state']) target.addEventListener(type, (/** @type {any} */ { error }) => report(error))
      for (const promise of [target.ready, target.closed]) promise?.catch?.(report)
      return target
    }
    try {
      start(watch)?.catch?.(report)
    } catch (error) {
      report(error)
    }
    return this.within(found, ms, what)
  }

  end() {
    for (const hub of this.#hubs) hub.close()
  }
}

/**
 * Runs one scenario.
 * @param {string} source of the scenario @param {Setting} setting @param {any} [WebSocket]
 * @returns {Promise<{checks: number, notes: string[], error?: string}>}
 */
export async function run(source, setting, WebSocket) {
  const kit = new Kit(await import(setting.client), setting, WebSocket)
  stray.length = 0
  let error
  /** @type {any} */
  let timer
  try {
    const limit = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not over after ${setting.limitMs} ms`)), setting.limitMs)))
    await Promise.race([new Function('return ' + source)()(kit, setting.given), limit])
  } catch (caught) {
    error = String(/** @type {any} */ (caught)?.message ?? caught)
  }
  clearTimeout(timer)
  kit.end()
  // An unhandled rejection is reported only after the microtasks.
  await kit.observe(0)
  kit.checks++
  const lost = stray.splice(0)
  if (lost.length) error ??= `errors without a handler: ${lost.map((one) => String(one?.stack ?? one)).join('; ').slice(0, 600)}`
  return { checks: kit.checks, notes: kit.notes, ...(error && { error }) }
}
