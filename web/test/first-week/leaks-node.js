/**
 * Measures one kind of leak in its own process: `node --expose-gc leaks-node.js KIND TRANSPORT ADDRESS CYCLES`.
 * Prints one line of JSON. Ended objects must be unreachable: a WeakRef watches each of them. The heap is measured
 * after garbage collection, after each third of the cycles.
 */
import WebSocket from 'ws'
import { connect } from '../../dist/client.mjs'
import { CYCLES } from './leak-cycles.js'

const [kind, transport, address, cycles] = process.argv.slice(2)
/** @type {WeakRef<any>[]} */
const refs = []
const collect = async () => {
  for (let at = 0; at < 4; at++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    globalThis.gc?.()
  }
  return process.memoryUsage().heapUsed
}
const options = { WebSocket, transports: [transport] }
const watch = (/** @type {any} */ object) => refs.push(new WeakRef(object))
const cycle = await CYCLES[kind]({ connect, address, options, watch, cut: () => fetch(`${process.env.TRIWAY_CONTROL}`, { method: 'POST', body: '{"name":"cut","args":[]}' }) })

/** @type {number[]} */
const heaps = []
for (let at = 0; at < Number(cycles); at++) {
  if (at % Math.floor(Number(cycles) / 3) === 0 && heaps.length < 3) heaps.push(await collect())
  await cycle(at)
}
heaps.push(await collect())
// An object that is watched several times, such as the signal of many requests, counts only once.
const alive = new Set(refs.map((ref) => ref.deref()).filter(Boolean)).size
console.log(JSON.stringify({ cycles: Number(cycles), heaps, watched: refs.length, alive, ...(await cycle.figures?.()) }))
process.exit(0)
