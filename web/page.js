/**
 * What the page goes through, told as facts for the ladder, and where what was learned is kept.
 * Knows the browser's globals; where they are missing (workers, Node) there is nothing to tell.
 */

/** @param {(type: 'online' | 'offline' | 'hidden' | 'visible' | 'pause' | 'start') => void} tell */
export function watchPage(tell) {
  const stop = new AbortController()
  const on = (/** @type {any} */ target, /** @type {string} */ type, /** @type {any} */ fact) =>
    target?.addEventListener?.(type, () => tell(fact), stop)
  const page = globalThis.document
  on(globalThis, 'online', 'online')
  on(globalThis, 'offline', 'offline')
  on(globalThis, 'pagehide', 'pause')
  // A page that comes back from the cache of pages has lost its connections: nobody's fault.
  on(globalThis, 'pageshow', 'start')
  page?.addEventListener('visibilitychange', () => tell(page.hidden ? 'hidden' : 'visible'), stop)
  return () => stop.abort()
}

/** Each kind of network that the platform tells apart has a memory of its own: what it is like is known before the hub names it. */
const nameOf = (/** @type {string} */ base) => `triway ${/** @type {any} */ (globalThis.navigator)?.connection?.type} ${base}`

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
