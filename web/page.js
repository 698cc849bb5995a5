/**
 * Events of the page, as facts for the ladder, and the storage of its memory. Knows the browser's globals. If
 * they are missing (workers, Node), there are no such events, and memory lasts as long as the process.
 */

/** @param {AbortSignal} signal ends it @param {(type: any) => void} onPageEvent */
export function watchPage(signal, onPageEvent) {
  // A page that returns from the back/forward cache has lost its connections through no fault of a transport.
  const facts = { online: 'online', offline: 'offline', pagehide: 'pause', pageshow: 'start', visibilitychange: '' }
  for (const [type, fact] of Object.entries(facts)) globalThis.addEventListener?.(type, () => onPageEvent(fact || document.visibilityState), { signal })
}

/** The type of the network, as the platform reports it. */
export const networkType = () => String(/** @type {any} */ (globalThis.navigator)?.connection?.type)

/** Largest memory that is kept, in characters, enough for some dozens of networks: a browser visits few, and its storage is small. */
const MEMORY_MAX = 20_000

/** Used if there is no storage: text by name. @type {Map<string, string>} */
const inProcess = new Map()

const nameOf = (/** @type {string} */ base) => 'triway ' + base

/** @param {string} base address of the hub @returns {Record<string, any> | undefined} */
export function loadMemory(base) {
  const name = nameOf(base)
  try {
    return JSON.parse(stored(name) ?? inProcess.get(name) ?? '')
  } catch {
    // There is no memory yet, or it is not readable: this page learns again.
  }
}

/** @param {string} base @param {object} memory */
export function saveMemory(base, memory) {
  const text = JSON.stringify(memory)
  const bounded = text.length > MEMORY_MAX ? '{}' : text
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
