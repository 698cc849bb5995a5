/** The script of a page: guests by name, in the page or in a worker, and the events of the page itself. */
import { connect } from '/client.mjs'
import { Guest } from '/guest.js'

/** @type {Map<string, (name: string, ...args: any[]) => any>} */
const guests = new Map()
const page = { shown: /** @type {string[]} */ ([]), shownAt: 0, visibility: [document.visibilityState] }
for (const type of ['pageshow', 'pagehide']) addEventListener(type, (event) => page.shown.push(`${type} ${/** @type {PageTransitionEvent} */ (event).persisted}`))
addEventListener('pageshow', () => (page.shownAt = Date.now()))
for (const type of ['freeze', 'resume']) document.addEventListener(type, () => page.shown.push(type))
document.addEventListener('visibilitychange', () => page.visibility.push(document.visibilityState))

/** @param {string} who @param {any} options @param {any} reads */
function come(who, options, reads) {
  const guest = new Guest(connect, location.origin + '/', options, reads)
  guests.set(who, (name, ...args) => /** @type {any} */ (guest)[name](...args))
}

/** The same calls as messages, to a worker's own port. @param {MessagePort | Worker} port */
function callsBy(port) {
  /** @type {Map<number, (answer: any) => void>} */
  const calls = new Map()
  port.onmessage = ({ data: { id, ...answer } }) => calls.get(id)?.(answer)
  return async (/** @type {string} */ name, /** @type {any[]} */ ...args) => {
    const id = calls.size
    const answer = await new Promise((resolve) => {
      calls.set(id, resolve)
      port.postMessage({ id, name, args })
    })
    if (answer.error) throw new Error(answer.error)
    return answer.value
  }
}

/** @param {'dedicated' | 'shared'} kind @param {string} who @param {any} options @param {any} reads */
async function comeInWorker(kind, who, options, reads) {
  const port = kind === 'shared'
    ? new SharedWorker('/guest-shared-worker.js', { type: 'module', name: who }).port
    : new Worker('/guest-worker.js', { type: 'module' })
  const call = callsBy(port)
  guests.set(who, call)
  await call('come', location.origin + '/', options, reads)
}

/** @param {string} who @param {string} name @param {any[]} args */
async function call(who, name, ...args) {
  const guest = guests.get(who)
  if (!guest) throw new Error(`no guest ${who}`)
  return guest(name, ...args)
}

Object.assign(globalThis, { come, comeInWorker, call, page })
