/**
 * The network table from the command line: travels paths in engines, judges them, and writes or checks
 * the table in docs/networks.md.
 *
 *   node test/networks/run.js [--all] [--proxies] [--engine node,chromium,firefox,webkit]
 *     [--path WORDS] [--missed] [--at-once N] [--write | --check] [--report]
 *
 * `--missed` takes only what the table says was missed.
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
  // At once: a run of an hour that is ended has not been for nothing.
  if (values.write && !measured.failed) write(name, [row], known.map((path) => path.name))
  if (values.report || wrong.length) console.log(String(measured.report ?? '').replace(/^/gm, '        '))
}

const wanted = known.filter((path) => (values.path ? path.name.includes(values.path) : values.all || values.missed || path.fast))
const rows = []
for (const kind of values.engine.split(',')) {
  const engine = await startEngine(kind)
  try {
    rows.push(...(await surveyAll(wanted.filter((path) => (!path.engines || path.engines.includes(kind)) && (!values.missed || isMissed(name, path.name, kind))), engine, Number(values['at-once']), tell)))
  } finally {
    await engine.stop()
  }
}
// And all together, since another run may have written at the same moment.
if (values.write) write(name, rows.filter(({ measured }) => !measured.failed), known.map((path) => path.name))
const wrong = rows.filter((row) => row.wrong.length)
const differences = values.check ? compare(name, rows) : []
for (const each of differences) console.log(each)
console.log(`${rows.length - wrong.length} passed, ${wrong.length} failed`)
process.exit(wrong.length || differences.length ? 1 : 0)
