/**
 * What happens to the page, as facts for the ladder, and where memory is kept. Knows the browser's
 * globals. Where they are missing (workers, Node) nothing happens to the page, and memory lasts as
 * long as the process.
 */

/** @param {AbortSignal} signal ends it @param {(type: any) => void} onPageEvent */
export function watchPage(signal, onPageEvent) {
  // A page that returns from the back/forward cache has lost its connections through no fault of a transport.
  const facts = { online: 'online', offline: 'offline', pagehide: 'pause', pageshow: 'start', visibilitychange: '' }
  for (const [type, fact] of Object.entries(facts)) globalThis.addEventListener?.(type, () => onPageEvent(fact || document.visibilityState), { signal })
}

/** What the platform says of the network. */
export const link = () => String(/** @type {any} */ (globalThis.navigator)?.connection?.type)

/** Largest memory that is kept, in characters, enough for some dozens of networks: a browser visits few, and its storage is small. */
const MEMORY_MOST = 20_000

/** As text, by name, where there is no storage. @type {Map<string, string>} */
const inProcess = new Map()

const nameOf = (/** @type {string} */ base) => 'triway ' + base

/** @param {string} base address of the hub @returns {Record<string, any> | undefined} */
export function load(base) {
  const name = nameOf(base)
  try {
    return JSON.parse(stored(name) ?? inProcess.get(name) ?? '')
  } catch {
    // There is no memory yet, or it is not readable: this page learns again.
  }
}

/** @param {string} base @param {object} memory */
export function keep(base, memory) {
  const text = JSON.stringify(memory)
  const bounded = text.length > MEMORY_MOST ? '{}' : text
  inProcess.set(nameOf(base), bounded)
  try {
    localStorage[nameOf(base)] = bounded
  } catch {
    // No storage, not allowed, or full: the process remembers.
  }
}

/** @param {string} name @returns {string | undefined} */
function stored(name) {
  try {
    return localStorage[name]
  } catch {
    // No storage, or not allowed.
  }
}
