/**
 * The script of a page: runs scenarios in the page or in a worker, and keeps another hub open, as another tab does.
 */
import { run } from './kit.js'

/** @param {'dedicated' | 'shared'} kind @param {string} source @param {any} setting */
function runInWorker(kind, source, setting) {
  const worker = kind === 'shared'
    ? new SharedWorker('/guest-worker.js', { type: 'module', name: setting.run })
    : new Worker('/guest-worker.js', { type: 'module' })
  const port = /** @type {any} */ (kind === 'shared' ? /** @type {SharedWorker} */ (worker).port : worker)
  return new Promise((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(`the worker failed: ${/** @type {ErrorEvent} */ (event).message}`))
    port.onmessage = (/** @type {MessageEvent} */ { data }) => {
      resolve(data.result)
      if (kind === 'dedicated') /** @type {Worker} */ (worker).terminate()
    }
    port.postMessage({ source, setting })
  })
}

/** @type {any} */
let other

/** Opens a hub that shares, and waits until it is connected. @param {any} setting */
async function come({ client, address, transport }) {
  const { connect } = await import(client)
  other = connect(address, { share: true, ...(transport !== 'any' && { transports: [transport] }) })
  const limit = new Promise((_, reject) => setTimeout(reject, 5000, new Error('the other tab did not connect')))
  await Promise.race([other.ready, limit])
}

function go() {
  other?.close()
  other = undefined
}

Object.assign(globalThis, { run, runInWorker, come, go })
