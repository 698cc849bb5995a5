/** Web Locks, which Node does not have. */

/**
 * Returns an object like `navigator.locks`: each name has one holder at a time. A signal ends a wait, and another
 * tab may steal the lock.
 */
export function locks() {
  const queues = new Map()
  const next = (queue) => {
    const [first] = queue
    if (!first || first.held) return
    first.held = true
    Promise.resolve(first.body()).finally(() => leave(queue, first))
  }
  const leave = (queue, wait) => {
    const at = queue.indexOf(wait)
    if (at >= 0) queue.splice(at, 1)
    next(queue)
  }
  return {
    request(name, { signal, steal }, body) {
      if (!queues.has(name)) queues.set(name, [])
      const queue = queues.get(name)
      return new Promise((_, reject) => {
        const wait = { body, held: false, reject: () => reject(new DOMException('', 'AbortError')) }
        if (steal && queue[0]?.held) queue.shift().reject()
        if (steal) queue.unshift(wait)
        else queue.push(wait)
        signal?.addEventListener('abort', () => {
          if (!wait.held) leave(queue, wait)
          reject(signal.reason)
        })
        queueMicrotask(() => next(queue))
      })
    },
  }
}
