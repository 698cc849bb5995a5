/**
 * A guest in another runtime: a process that is called with lines on its standard input. Runs in Node, Deno and
 * Bun. Its arguments: the hub's address, options, what it reads, and the WebSocket to pass in (`ws`, or empty for
 * the runtime's own).
 */
import { createInterface } from 'node:readline'
import process from 'node:process'
import { connect } from '../../dist/client.mjs'
import { Guest } from '../engines/guest.js'

const [address, options, reads, passed] = process.argv.slice(2)
const WebSocket = passed === 'ws' ? (await import('ws')).WebSocket : undefined
const guest = new Guest(connect, address, { ...JSON.parse(options), ...(WebSocket && { WebSocket }) }, JSON.parse(reads))

for await (const line of createInterface({ input: process.stdin })) {
  const { id, name, args } = JSON.parse(line)
  // Do not await this: the next call may arrive meanwhile.
  Promise.resolve()
    .then(() => /** @type {any} */ (guest)[name](...args))
    .then((value) => ({ id, value }), (error) => ({ id, error: String(error) }))
    .then((answer) => process.stdout.write(JSON.stringify(answer) + '\n'))
}
guest.close()
