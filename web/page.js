/**
 * What the page goes through, told as facts for the ladder, and where what was learned is kept.
 * Knows the browser's globals; where they are missing (workers, Node) there is nothing to tell.
 */

/** @param {AbortSignal} signal ends it @param {(type: any) => void} tell */
export function watchPage(signal, tell) {
  // A page that comes back from the cache of pages has lost its connections: nobody's fault.
  const facts = { online: 'online', offline: 'offline', pagehide: 'pause', pageshow: 'start', visibilitychange: '' }
  for (const [type, fact] of Object.entries(facts)) globalThis.addEventListener?.(type, () => tell(fact || document.visibilityState), { signal })
}

/** What the platform says of the network. */
export const link = () => String(/** @type {any} */ (globalThis.navigator)?.connection?.type)

const nameOf = (/** @type {string} */ base) => 'triway ' + base

/** @param {string} base address of the hub @returns {Record<string, any> | undefined} */
export function load(base) {
  try {
    return JSON.parse(localStorage[nameOf(base)])
  } catch {
    // None yet, or none allowed.
  }
}

/** Characters of what is learned, of some dozens of networks: a browser comes to few, and its storage is small. */
const MEMORY_MOST = 20_000

/** @param {string} base @param {object} memory */
export function keep(base, memory) {
  try {
    const text = JSON.stringify(memory)
    localStorage[nameOf(base)] = text.length > MEMORY_MOST ? '{}' : text
  } catch {
    // Not allowed, or full: the next page learns anew.
  }
}
