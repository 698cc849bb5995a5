/**
 * A web site as people run it: its own pages, and behind the same origin a hub, with a middlebox
 * between the two so that a way can be refused or cut. Its pages run whatever `web/dist` has now.
 * Speaks HTTP/1.1, on which a browser has six connections for all of its tabs. Knows no story.
 */
import { readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { Middlebox } from '../support/middlebox.js'
import { Hub } from '../browser/world.js'

const file = (/** @type {string} */ path) => readFileSync(new URL(path, import.meta.url))

const PAGE = '<!doctype html><meta charset="utf-8"><title>guests</title><link rel="icon" href="data:,"><script type="module" src="/guest-page.js"></script>'
/** What the site itself has. @type {Record<string, () => string | Buffer>} */
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
  /** For each exchange under way. @type {Set<() => void>} */
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

  /** What is under way leads nowhere from now on, though it stays open: so a machine that slept finds its sockets. */
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
      // Nothing here forbids the cache of pages: `no-store` would.
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
      // Cut in its middle, and not ended, where that is what happened.
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
      // What the browser still says is taken, and goes nowhere.
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

/** Between two numbers under load, in ms: several are under way whatever a reader does meanwhile. */
const SPEAK_EVERY_MS = 10

/** Hub, box and site in a row; and a voice that publishes numbers to the hub itself. */
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
    // A story says in one breath what people say in an hour, and its history is as long.
    const all = ['--publish-rate', '0', '--history-events', '100000', ...flags]
    const hub = await Hub.start(all)
    const box = await Middlebox.start({ port: hub.port })
    return new World(hub, box, await Site.start(box), all)
  }

  /** Ends the hub and starts another at its address. @param {NodeJS.Signals} signal */
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
   * Publishes 1, 2, 3 … until it is told to stop.
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
    // A story that failed stops no voice; the end of its world does.
    speaking.catch(() => {})
    this.#voices.add(voice)
    voice.stop = async () => {
      voice.isSpeaking = false
      await speaking
      return voice.said
    }
    return voice
  }

  /** One figure of the hub's metrics, summed over its labels. @param {string} name @param {RegExp} [labels] */
  async metric(name, labels = /(?:)/) {
    const lines = (await (await fetch(this.hub.address + '/metrics')).text()).split('\n')
    return lines.filter((line) => line.startsWith(name) && /[ {]/.test(line[name.length] ?? '') && labels.test(line)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }
}
