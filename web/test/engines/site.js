/**
 * A typical web site: its own pages, and a hub behind the same origin. A middlebox stands between the two, so that
 * a transport can be refused or cut. Its pages use the current files of `web/dist`. It speaks HTTP/1.1, on which a
 * browser has six connections for all its tabs. Knows no test.
 */
import { readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { Middlebox } from '../support/middlebox.js'
import { Hub } from '../browser/world.js'

const file = (/** @type {string} */ path) => readFileSync(new URL(path, import.meta.url))

const PAGE = '<!doctype html><meta charset="utf-8"><title>guests</title><link rel="icon" href="data:,"><script type="module" src="/guest-page.js"></script>'
/** The pages of the site itself. @type {Record<string, () => string | Buffer>} */
const PAGES = {
  '/': () => PAGE,
  '/other': () => '<!doctype html><meta charset="utf-8"><title>elsewhere</title><link rel="icon" href="data:,">elsewhere',
  '/ordinary': () => 'an ordinary answer',
  ...Object.fromEntries(['guest.js', 'guest-page.js', 'guest-worker.js', 'guest-shared-worker.js'].map((name) => ['/' + name, () => file(name)])),
  ...Object.fromEntries(['client.mjs', 'client.js', 'client-adaptation.mjs', 'client-share.mjs', 'client-report.mjs'].map((name) => ['/' + name, () => file('../../dist/' + name)])),
}

export class Site {
  #server
  #box
  /** @type {Set<import('node:stream').Duplex>} */
  #connections = new Set()
  /** One for each exchange in flight. @type {Set<() => void>} */
  #strands = new Set()

  /** @param {Middlebox} box */
  constructor(box) {
    this.#box = box
    this.#server = createServer((asked, answer) => this.#answer(asked, answer))
    this.#server.on('upgrade', (asked, socket, head) => this.#upgrade(asked, socket, head))
    this.#server.on('connection', (socket) => {
      this.#connections.add(socket)
      socket.on('close', () => this.#connections.delete(socket)).on('error', () => {})
    })
  }

  /** @param {Middlebox} box that leads to the hub */
  static async start(box) {
    const site = new Site(box)
    await new Promise((resolve) => site.#server.listen(0, '127.0.0.1', () => resolve(0)))
    return site
  }

  get address() {
    return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (this.#server.address()).port}`
  }

  /** Strands everything in flight: it stays open but leads nowhere, as the sockets of a machine that slept. */
  strand() {
    for (const strand of this.#strands) strand()
    this.#strands.clear()
  }

  async stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const connection of this.#connections) connection.destroy()
    await closed
  }

  /** @param {import('node:http').IncomingMessage} asked @param {import('node:http').ServerResponse} answer */
  #answer(asked, answer) {
    const path = /** @type {string} */ (asked.url).split('?')[0]
    const page = PAGES[path]
    if (page) {
      // The page cache must be allowed: `no-store` would forbid it.
      answer.writeHead(200, { 'content-type': path.endsWith('js') ? 'text/javascript' : 'text/html', 'cache-control': 'no-cache' })
      return void answer.end(page())
    }
    const { method, url, headers } = asked
    let isStranded = false
    const end = () => isStranded || answer.destroy()
    const onward = request({ port: this.#box.port, host: '127.0.0.1', method, path: url, headers, agent: false }, (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers)
      answer.flushHeaders()
      answered.pipe(answer, { end: false })
      // If the response was cut, cut it here too instead of ending it.
      answered.on('end', () => isStranded || answer.end()).on('error', end).on('close', () => answered.complete || end())
    })
    const strand = () => {
      isStranded = true
      onward.destroy()
    }
    this.#strands.add(strand)
    onward.on('error', end)
    answer.on('close', () => {
      this.#strands.delete(strand)
      onward.destroy()
    })
    asked.pipe(onward)
  }

  /** @param {import('node:http').IncomingMessage} asked @param {import('node:stream').Duplex} socket @param {Buffer} head */
  #upgrade({ method, url, rawHeaders }, socket, head) {
    const onward = connect(this.#box.port, '127.0.0.1')
    const lines = [`${method} ${url} HTTP/1.1`]
    for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
    onward.write(lines.join('\r\n') + '\r\n\r\n')
    onward.write(head)
    onward.setNoDelay(true)
    let isStranded = false
    socket.pipe(onward, { end: false })
    onward.pipe(socket, { end: false })
    const strand = () => {
      isStranded = true
      onward.destroy()
      // Bytes of the browser are still read, and then dropped.
      socket.resume()
    }
    this.#strands.add(strand)
    onward.on('error', () => {}).on('end', () => isStranded || socket.end()).on('close', () => isStranded || socket.destroy())
    socket.on('error', () => {}).on('end', () => onward.end()).on('close', () => {
      this.#strands.delete(strand)
      onward.destroy()
    })
  }
}

/** The interval of numbers under load, in ms: several are in flight whenever a reader changes something. */
const SPEAK_EVERY_MS = 10

/** Hub, middlebox and site in a row, and voices that publish numbers directly to the hub. */
export class World {
  /** @type {Set<{stop: () => Promise<number>}>} */
  #voices = new Set()

  /** @param {Hub} hub @param {Middlebox} box @param {Site} site @param {string[]} flags of the hub */
  constructor(hub, box, site, flags) {
    this.flags = flags
    this.hub = hub
    this.box = box
    this.site = site
  }

  /** @param {string[]} [flags] of the hub */
  static async start(flags = []) {
    // A test publishes in a second what people publish in an hour, and needs a long history.
    const all = ['--publish-rate', '0', '--history-events', '100000', ...flags]
    const hub = await Hub.start(all)
    const box = await Middlebox.start({ port: hub.port })
    return new World(hub, box, await Site.start(box), all)
  }

  /** Ends the hub and starts another one at the same address. @param {NodeJS.Signals} signal */
  async restart(signal) {
    const { port } = this.hub
    await this.hub.stop(signal)
    this.hub = await Hub.start(this.flags, `127.0.0.1:${port}`)
  }

  async stop() {
    for (const voice of this.#voices) await voice.stop().catch(() => {})
    await this.site?.stop()
    await this.box?.stop()
    await this.hub?.stop()
  }

  /** @param {string} channel @param {any} data */
  async publish(channel, data) {
    return this.hub.publish(channel, JSON.stringify(data), 'application/json')
  }

  /**
   * Publishes 1, 2, 3 … until it is stopped.
   * @param {string} channel
   */
  speak(channel, everyMs = SPEAK_EVERY_MS) {
    const voice = { said: 0, isSpeaking: true, stop: async () => 0 }
    const speaking = (async () => {
      while (voice.isSpeaking) {
        await this.publish(channel, { n: voice.said + 1, at: Date.now() })
        voice.said++
        await new Promise((resolve) => setTimeout(resolve, everyMs))
      }
    })()
    // A failed test does not stop its voice; the end of its world does.
    speaking.catch(() => {})
    this.#voices.add(voice)
    voice.stop = async () => {
      voice.isSpeaking = false
      await speaking
      return voice.said
    }
    return voice
  }

  /** Returns one metric of the hub, summed over its labels. @param {string} name @param {RegExp} [labels] */
  async metric(name, labels = /(?:)/) {
    const lines = (await (await fetch(this.hub.address + '/metrics')).text()).split('\n')
    return lines.filter((line) => line.startsWith(name) && /[ {]/.test(line[name.length] ?? '') && labels.test(line)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }
}
