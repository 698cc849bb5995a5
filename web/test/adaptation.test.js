/**
 * The adaptation part, which is loaded after the first connection: what the ladder does without it, and when it is
 * late or missing.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import WebSocket from 'ws'
import { Adaptation } from '../adaptation.js'
import { TestHub, until } from './hub.js'
import { Network, poll, refused, sse, ws } from './network.js'

const HOUR_MS = 3_600_000
const clear = { ws: ws(), sse: sse(), poll: poll(), check: () => ({ ok: true }) }

test('without the part, what carries is kept; once it is there, better transports are tried again', () => {
  const network = new Network({ ...clear, ws: (step, now) => (now < 5000 ? refused() : ws()(step)) }, { adaptation: null })
  network.observe('start')
  network.run(HOUR_MS)
  assert.deepEqual(network.carried.map(({ transport }) => transport), ['sse'])
  network.observe('adapt', { adaptation: new Adaptation() })
  network.run(29_000)
  assert.equal(network.carrier, 'sse')
  network.run(3000)
  assert.equal(network.carrier, 'ws')
})

test('a page that was starved before the part was there waits 60 s, too', () => {
  const network = new Network(clear, { adaptation: null, transports: ['sse', 'poll'] })
  network.observe('start')
  network.run(1000)
  network.observe('starved')
  network.run(1000)
  network.observe('adapt', { adaptation: new Adaptation() })
  network.run(59_000)
  assert.equal(network.carrying.isShort, true)
  network.run(15_000)
  assert.equal(network.carrier, 'sse')
})

test('without the part, cuts teach nothing, and the same transport carries again after each', () => {
  const network = new Network({ ...clear, ws: refused, sse: sse({ dies: 5500 }) }, { adaptation: null })
  network.observe('start')
  network.run(120_000)
  assert.ok(network.carried.length > 10)
  assert.equal(network.ladder.learned.sse?.beat, undefined)
  assert.equal(network.state, 'connected')
})

test('the part learns from the cuts before it was there: the next one alike is the second, and shows their kind', () => {
  const network = new Network({ ...clear, ws: ws({ dies: 100 }) }, { adaptation: null })
  network.observe('start')
  network.run(250)
  const cuts = network.carried.length
  assert.ok(cuts >= 1 && network.carried.every(({ transport }) => transport === 'ws'), JSON.stringify(network.carried))
  network.observe('adapt', { adaptation: new Adaptation() })
  network.run(HOUR_MS / 60)
  assert.equal(network.carrier, 'sse')
  assert.ok(network.carried.filter(({ transport }) => transport === 'ws').length <= 3, JSON.stringify(network.carried))
})

/** Copies the client to its own folder, with these parts next to it. @param {Record<string, string>} parts */
function clientWith(parts) {
  const folder = mkdtempSync(join(tmpdir(), 'triway-parts-'))
  cpSync(new URL('../dist/client.mjs', import.meta.url), join(folder, 'client.mjs'))
  for (const [name, text] of Object.entries(parts)) writeFileSync(join(folder, name), text)
  return folder
}

/** The real part. It counts how often it is used. */
const COUNTED = `
  import * as part from '${new URL('../dist/client-adaptation.mjs', import.meta.url)}'
  export const { VERSION } = part
  export class Adaptation extends part.Adaptation {
    constructor() {
      super()
      globalThis.adaptations = (globalThis.adaptations ?? 0) + 1
    }
  }`

for (const when of ['from the start', 'only after the first connection']) {
  test(`a part that is there ${when} is loaded once, when an attempt carries`, async () => {
    delete globalThis.adaptations
    const folder = clientWith(when === 'from the start' ? { 'client-adaptation.mjs': COUNTED } : {})
    const server = await new TestHub().listen()
    const { connect } = await import(join(folder, 'client.mjs'))
    const hub = connect(server.address, { WebSocket, transports: ['ws'] })
    try {
      assert.equal(globalThis.adaptations, undefined)
      await hub.ready
      if (when === 'from the start') await until(() => globalThis.adaptations, 'the part')
      else writeFileSync(join(folder, 'client-adaptation.mjs'), COUNTED)
      for (let round = 0; round < 2; round++) {
        const reconnected = new Promise((resolve) => hub.addEventListener('state', ({ to }) => to === 'connected' && resolve()))
        server.cut()
        await reconnected
      }
      await until(() => globalThis.adaptations, 'the part')
      assert.equal(globalThis.adaptations, 1)
    } finally {
      hub.close()
      await server.close()
      rmSync(folder, { recursive: true })
    }
  })
}

const BROKEN = {
  'not there': {},
  'no module': { 'client-adaptation.mjs': '<!doctype html>' },
  'one of another version': { 'client-adaptation.mjs': 'export const VERSION = 0; export class Adaptation { constructor() { throw new Error("unused") } }' },
}

for (const [what, parts] of Object.entries(BROKEN)) {
  for (const transport of ['ws', 'sse', 'poll']) {
    test(`a part that is ${what} harms nothing: each event once and in order through cuts, over ${transport}`, async () => {
      const folder = clientWith(parts)
      const server = await new TestHub().listen()
      const { connect } = await import(join(folder, 'client.mjs'))
      const hub = connect(server.address, { WebSocket, transports: [transport] })
      try {
        const heard = []
        const errors = []
        hub.addEventListener('error', ({ error }) => errors.push(error))
        hub.channel('a').on('message', (data) => heard.push(data))
        await hub.ready
        for (let round = 0; round < 3; round++) {
          server.publish('a', round)
          server.cut()
          await until(() => heard.length === round + 1 && hub.state === 'connected')
        }
        assert.deepEqual(heard, [0, 1, 2])
        assert.deepEqual(errors, [])
      } finally {
        hub.close()
        await server.close()
        rmSync(folder, { recursive: true })
      }
    })
  }
}
