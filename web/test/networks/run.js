/**
 * The network table from the command line: runs paths in engines, judges them, and writes or checks the table in
 * docs/networks.md.
 *
 *   node test/networks/run.js [--all] [--proxies] [--engine node,chromium,firefox,webkit]
 *     [--path WORDS] [--missed] [--at-once N] [--write | --check] [--report]
 *   node test/networks/run.js --usable [--visits N] [--engine ...] [--path WORDS] [--write [--as before|after]] [--check]
 *
 * `--path` accepts several words, joined by `|`. `--missed` selects only what the table marks as missed or does not
 * contain yet. `--usable` measures how long it takes until the client is usable where it must fall back; `--check`
 * fails if the 90th percentile exceeds the target.
 *
 * TRIWAY_BIN names the program of the hub, and TRIWAY_CLIENT the client (also for pages, if the middlebox is the
 * front). By default, both are the ones built here.
 */
import { parseArgs } from 'node:util'
import { startEngine } from './engines.js'
import { paths } from './paths.js'
import { surveyAll } from './survey.js'
import { compare, isMissed, write } from './table.js'

const { values } = parseArgs({
  options: {
    all: { type: 'boolean' },
    proxies: { type: 'boolean' },
    engine: { type: 'string', default: 'node' },
    path: { type: 'string' },
    missed: { type: 'boolean' },
    'at-once': { type: 'string', default: '3' },
    write: { type: 'boolean' },
    check: { type: 'boolean' },
    report: { type: 'boolean' },
    usable: { type: 'boolean' },
    visits: { type: 'string', default: '15' },
    as: { type: 'string', default: 'after' },
  },
})

const name = values.proxies ? 'proxies' : 'paths'
const known = values.proxies ? (await import('./proxies.js')).proxyPaths : paths

/** @param {import('./survey.js').Row} row @param {boolean} isAgain */
function tell(row, isAgain) {
  const { engine, path, measured, wrong } = row
  const ways = measured.ways?.map(({ to, at, reason }) => `${to} at ${at - measured.beganAt} ms (${reason})`).join(', ')
  console.log(`${wrong.length ? 'WRONG' : 'right'}${isAgain ? ' again' : ''} ${engine} | ${path.name} | ${ways} | ${measured.requests} requests | worst ${measured.worstMs} ms`)
  for (const each of wrong) console.log(`      ${each}`)
  // Write at once, so that an interrupted run of an hour keeps its results.
  if (values.write && !measured.failed) write(name, [row], known.map((path) => path.name))
  if (values.report || wrong.length) console.log(String(measured.report ?? '').replace(/^/gm, '        '))
}

if (values.usable) process.exit(await usable())

/** @returns {Promise<number>} how the process ends */
async function usable() {
  const { isLate, timesUntilUsable, writeTimes } = await import('./usable.js')
  let late = 0
  for (const kind of values.engine.split(',')) {
    const engine = await startEngine(kind)
    try {
      await timesUntilUsable(engine, Number(values.visits), values.path, (times) => {
        const { path, visit, p50, p90, transports } = times
        if (isLate(times)) late++
        console.log(`${isLate(times) ? 'LATE' : 'soon'} ${kind} | ${path} | ${visit} visit | p50 ${p50} ms | p90 ${p90} ms | ${transports}`)
        if (values.write) writeTimes(times, values.as === 'before' ? 'before' : 'after')
      })
    } finally {
      await engine.stop()
    }
  }
  return values.check && late ? 1 : 0
}

const wanted = known.filter((path) => (values.path ? values.path.split('|').some((words) => path.name.includes(words)) : values.all || values.missed || path.fast))
const rows = []
for (const kind of values.engine.split(',')) {
  const engine = await startEngine(kind)
  try {
    rows.push(...(await surveyAll(wanted.filter((path) => (!path.engines || path.engines.includes(kind)) && (!values.missed || isMissed(name, path.name, kind))), engine, Number(values['at-once']), tell)))
  } finally {
    await engine.stop()
  }
}
// Write all rows again, since another run may have written at the same moment.
if (values.write) write(name, rows.filter(({ measured }) => !measured.failed), known.map((path) => path.name))
const wrong = rows.filter((row) => row.wrong.length)
const differences = values.check ? compare(name, rows) : []
for (const each of differences) console.log(each)
console.log(`${rows.length - wrong.length} passed, ${wrong.length} failed`)
process.exit(wrong.length || differences.length ? 1 : 0)
