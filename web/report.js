/**
 * What was tried, what was seen, how long it took, and why the present transport was chosen: as
 * data, and as text. Loaded only when it is asked for; knows the ladder's steps and facts by name.
 */

/** @typedef {ReturnType<typeof report>} Report */

/**
 * What it is given has plain names, so that it fits a client of another build.
 * @param {{state: string, transport: string | null, rtt?: number, learned: import('./cuts.js').Learned, log: any[][]}} seen
 */
export function report({ state, transport, rtt, learned, log }) {
  /** @type {Map<number, any>} */
  const tries = new Map()
  /** @type {{at: number, what: string}[]} */
  const events = []
  for (const [at, type, fact = {}] of log) {
    const one = tries.get(fact.id) ?? {}
    if (type === 'open') tries.set(fact.id, { transport: fact.transport, at, why: fact.why })
    else if (type === 'hello') one.helloMs = at - one.at
    else if (type === 'carry') one.carriedMs = at - one.at
    else if (type === 'failed') Object.assign(one, { failedMs: at - one.at, failed: fact.why })
    else if (type === 'ended') Object.assign(one, { endedMs: at - one.at, ended: fact.why })
    else if (type === 'close') Object.assign(one, { endedMs: at - one.at, ended: 'closed by us' })
    else if (type === 'state') events.push({ at, what: `${fact.state} (${fact.why})` })
    else if (type !== 'keep') events.push({ at, what: type })
  }
  const data = { state, transport, rtt, why: '', tries: [...tries.values()], events, learned }
  for (const one of data.tries) if (one.carriedMs != null) data.why = one.why
  return Object.defineProperty(data, 'toString', { value: () => text(data) })
}

/** @param {any} data */
function text({ state, transport, rtt, why, tries, events, learned }) {
  const time = (/** @type {number} */ at) => new Date(at).toISOString().slice(11, 23)
  const lines = [`${state}${transport ? ` over ${transport}, because of ${why}` : ''}${rtt == null ? '' : `; round trip ${rtt} ms`}`]
  const all = [
    ...tries.map((/** @type {any} */ one) => [
      one.at,
      `${one.transport} tried (${one.why})` +
        (one.helloMs == null ? ': no hello' : `: hello after ${one.helloMs} ms`) +
        (one.carriedMs == null ? '' : `, carried after ${one.carriedMs} ms`) +
        (one.failedMs == null ? '' : `, given up after ${one.failedMs} ms (${one.failed})`) +
        (one.endedMs == null ? '' : `, ended after ${one.endedMs} ms (${one.ended})`),
    ]),
    ...events.map((/** @type {any} */ event) => [event.at, event.what]),
  ]
  for (const [at, what] of all.sort(([one], [other]) => one - other)) lines.push(`${time(at)} ${what}`)
  for (const [name, { good, until, beat, age, early, wait }] of Object.entries(/** @type {Record<string, import('./cuts.js').Known>} */ (learned))) {
    if (!good && until && until > Date.now()) lines.push(`${name} failed here; tried last until ${time(until)}`)
    if (beat) lines.push(`${name} is cut when idle; a heartbeat each ${beat} s`)
    if (age) lines.push(`${name} is cut at ${age} ms; replaced before`)
    if (early) lines.push('silent polls are cut; heads are sent early')
    if (wait) lines.push(`polls are held ${wait} s`)
  }
  return lines.join('\n')
}
