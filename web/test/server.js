/** The real server, as a process on a port that the system chooses. */
import { existsSync } from 'node:fs'
import { startProcess } from './support/ending.js'

const built = ['../../target/debug/triway', '../../target/release/triway'].map((path) => new URL(path, import.meta.url).pathname)
export const binary = process.env.TRIWAY_BIN ?? built.find(existsSync)

/** The environment without the variables of the program and of these tests. */
function withoutSettings() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TRIWAY_')))
}

/** @param {string[]} [more] arguments @param {number} [port] */
export async function startServer(more = [], port = 0) {
  if (!binary) throw new Error('no triway binary: run cargo build first, or name one in TRIWAY_BIN')
  const child = startProcess(binary, ['serve', '--listen', `127.0.0.1:${port}`, ...more], { stdio: ['ignore', 'pipe', 'pipe'], env: withoutSettings() })
  let said = ''
  const address = await new Promise((resolve, reject) => {
    const hear = (part) => {
      said += part
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said)
      if (found) resolve(found[0] + '/')
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.on('exit', (code) => reject(new Error(`the server ended with ${code}: ${said}`)))
  })
  const ended = new Promise((resolve) => child.on('exit', resolve))
  return {
    address,
    port: Number(new URL(address).port),
    pid: child.pid,
    said: () => said,
    /** @param {NodeJS.Signals} [signal] */
    async stop(signal = 'SIGKILL') {
      child.kill(signal)
      await ended
    },
  }
}
