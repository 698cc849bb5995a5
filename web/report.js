/**
 * What was tried and observed, how long it took, and why the present transport was chosen: as data,
 * and as text. Loaded only when it is requested; knows the ladder's steps and facts by name.
 */

/** @typedef {ReturnType<typeof report>} Report @typedef {import('./memory.js').Known} Known */

/** Entries of the log that mean nothing to a reader. */
const INTERNAL = ['remember']

/**
 * Its argument has plain names, so that it fits a client of another build.
 * @param {{state: string, transport: string | null, rtt?: number, learned: import('./memory.js').Learned, log: any[][]}} observed
 */
export function report({ state, transport, rtt, learned, log }) {
  /** @type {Map<number, any>} */
  const tries = new Map()
  /** @type {{at: number, what: string}[]} */
  const events = []
  for (const [at, type, fact = {}] of log) {
    if (type === 'open') tries.set(fact.id, { transport: fact.transport, at, why: fact.why, ...(fact.pause !== undefined && { pause: fact.pause }) })
    else if (!observeAttempt(tries.get(fact.id) ?? {}, at, type, fact) && !INTERNAL.includes(type)) events.push({ at, what: type === 'state' ? `${fact.state} (${fact.why})` : type })
  }
  const data = { state, transport, rtt, why: '', tries: [...tries.values()], events, learned }
  for (const attempt of data.tries) if (attempt.carriedMs != null) data.why = attempt.why
  return Object.defineProperty(data, 'toString', { value: () => text(data) })
}

/** @param {any} attempt @param {number} at @param {string} type @param {any} fact @returns {boolean} whether it was about an attempt */
function observeAttempt(attempt, at, type, fact) {
  const ms = at - attempt.at
  if (type === 'hello') attempt.helloMs = ms
  else if (type === 'carry') attempt.carriedMs = ms
  else if (type === 'failed') Object.assign(attempt, { failedMs: ms, failed: fact.why })
  else if (type === 'ended') Object.assign(attempt, { endedMs: ms, ended: fact.why })
  else if (type === 'close') Object.assign(attempt, { endedMs: ms, ended: 'closed by us' })
  else return false
  return true
}

/** @param {any} data */
function text({ state, transport, rtt, why, tries, events, learned }) {
  const summary = `${state}${transport ? ` over ${transport}${why ? `, because of ${why}` : ', read by another tab'}` : ''}${rtt == null ? '' : `; round trip ${rtt} ms`}`
  const entries = [
    ...tries.map((/** @type {any} */ attempt) => [attempt.at, textOfAttempt(attempt)]),
    ...events.map((/** @type {any} */ event) => [event.at, event.what]),
  ].sort(([one], [other]) => one - other)
  return [summary, ...entries.map(([at, what]) => `${timeOf(at)} ${what}`), ...textsOfLearned(learned)].join('\n')
}

/** @param {number} at */
const timeOf = (at) => new Date(at).toISOString().slice(11, 23)

/** @param {any} attempt */
function textOfAttempt({ transport, why, pause, helloMs, carriedMs, failedMs, failed, endedMs, ended }) {
  return (
    `${pause === undefined ? transport : `${transport} (short)`} tried (${why})` +
    (helloMs == null ? ': no hello' : `: hello after ${helloMs} ms`) +
    (carriedMs == null ? '' : `, carried after ${carriedMs} ms`) +
    (failedMs == null ? '' : `, given up after ${failedMs} ms (${failed})`) +
    (endedMs == null ? '' : `, ended after ${endedMs} ms (${ended})`)
  )
}

/** @param {import('./memory.js').Learned} learned */
function textsOfLearned(learned) {
  const now = Date.now()
  return Object.entries(learned).flatMap(([name, { until, beat, age, early, wait, shortUntil }]) => [
    ...(until && until > now ? [`${name} failed here; tried last until ${timeOf(until)}`] : []),
    ...(beat ? [`${name} is cut when idle; a heartbeat each ${beat} s`] : []),
    ...(age ? [`${name} is cut at ${age} ms; replaced before`] : []),
    ...(early ? ['silent polls are cut; heads are sent early'] : []),
    ...(wait ? [`polls are held ${wait} s`] : []),
    ...(shortUntil && shortUntil > now ? [`polls are short until ${timeOf(shortUntil)}`] : []),
  ])
}
