/**
 * What the page goes through, told as facts for the ladder, and where what was learned is kept.
 * Knows the browser's globals; where they are missing (workers, Node) there is nothing to tell.
 */

/** @param {(type: 'online' | 'offline' | 'hidden' | 'visible' | 'pause' | 'start') => void} tell */
export function watchPage(tell) {
  const stop = new AbortController()
  const on = (/** @type {any} */ target, /** @type {string} */ type, /** @type {() => void} */ listener) =>
    target?.addEventListener?.(type, listener, stop)
  on(globalThis, 'online', () => tell('online'))
  on(globalThis, 'offline', () => tell('offline'))
  on(globalThis, 'pagehide', () => tell('pause'))
  // A page that comes back from the cache of pages has lost its connections: nobody's fault.
  on(globalThis, 'pageshow', () => tell('start'))
  on(globalThis.document, 'visibilitychange', () => tell(document.hidden ? 'hidden' : 'visible'))
  return () => stop.abort()
}

/** What the platform says of the network. */
export const link = () => String(/** @type {any} */ (globalThis.navigator)?.connection?.type)

/** @param {string} base address of the hub */
export const memoryOf = (base) => {
  const name = 'triway ' + base
  return {
    /** @returns {Record<string, any> | undefined} */
    load() {
      try {
        return JSON.parse(localStorage[name])
      } catch {
        // None yet, or none allowed.
      }
    },
    /** @param {object} memory */
    keep(memory) {
      try {
        localStorage[name] = JSON.stringify(memory)
      } catch {
        // Not allowed, or full: the next page learns anew.
      }
    },
  }
}
