/**
 * The table in docs/networks.md: writes rows, and compares rows with it. Times and numbers of requests differ from
 * run to run; everything else must match. Pure except for the file.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FILE = new URL('../../../docs/networks.md', import.meta.url)

/** @param {string} name of the table */
const marks = (name) => [`<!-- table: ${name} -->\n`, `<!-- end: ${name} -->`]

const HEAD = ['path', 'engine', 'bound', 'transport', 'usable after', 'requests', 'lost / twice / out of order', 'reason']
/** Columns that are compared. */
const FIRM = [0, 1, 2, 3, 6, 7]
const BOUND = 2
const TRANSPORT = 3
const REASON = 7

/** Returns whether the path allows several transports and all of these are among them. @param {string | undefined} transports @param {string[]} carried */
const isAllowed = (transports = '', ...carried) => transports.includes('|') && carried.every((each) => transports.split('|').includes(each))

/**
 * Returns whether the path allows several reasons, such as the two ways to notice a missing hub, and all of these
 * are among them.
 * @param {RegExp | undefined} reason @param {string[]} told
 */
const isAlike = (reason, ...told) => !!reason && told.every((each) => reason.test(each.replaceAll('`', '')))

/** Marks a missed bound in the table. */
const MISSED = ' **(missed)**'

/** @param {import('./survey.js').Row} row @returns {string[]} */
export function cells({ path, engine, measured, wrong }) {
  const { usableMs, transport, requests, lost, twice, disorder, ways = [] } = measured
  const reason = ways.at(-1)?.reason ?? measured.state
  return [path.name, engine, (path.bound ?? '') + (wrong.length ? MISSED : ''), transport ?? 'none', usableMs ? `${usableMs} ms` : 'never', String(requests), `${lost} / ${twice} / ${disorder}`, `\`${reason}\``]
}

/** @param {string[]} line */
const markdown = (line) => `| ${line.join(' | ')} |`

/** @param {string} name @returns {string[][]} lines of the file's table */
export function lines(name) {
  const [begin, end] = marks(name)
  const text = readFileSync(FILE, 'utf8')
  return text.slice(text.indexOf(begin) + begin.length, text.indexOf(end)).split('\n').slice(2).filter(Boolean).map((line) => line.slice(2, -2).split(' | '))
}

/** @param {string[]} line */
const key = ([path, engine]) => `${path} in ${engine}`

/**
 * Returns the differences as text. Rows that were not run are ignored unless the run was complete.
 * @param {string} name @param {import('./survey.js').Row[]} rows @param {boolean} [isWhole]
 */
export function compare(name, rows, isWhole = false) {
  const known = new Map(lines(name).map((line) => [key(line), line]))
  const differences = []
  for (const row of rows) {
    const line = cells(row)
    const { reason, transport } = row.path.bounds
    const old = known.get(key(line))
    known.delete(key(line))
    if (!old) differences.push(`${key(line)}: not in docs/networks.md`)
    // If the bound is known to be missed, nothing else is compared.
    else if (old[BOUND] === line[BOUND] && row.wrong.length) continue
    else for (const column of FIRM) if (old[column] !== line[column] && !(column === REASON && isAlike(reason, old[column], line[column])) && !(column === TRANSPORT && isAllowed(transport, old[column], line[column]))) differences.push(`${key(line)}: ${HEAD[column]} is ${line[column]}, in docs/networks.md ${old[column]}`)
  }
  if (isWhole) for (const gone of known.keys()) differences.push(`${gone}: in docs/networks.md, but no path`)
  return differences
}

/** Returns whether the table marks this bound as missed, or does not contain it yet. @param {string} name @param {string} path @param {string} engine */
export function isMissed(name, path, engine) {
  const line = lines(name).find((line) => line[0] === path && line[1] === engine)
  return !line || line[BOUND].endsWith(MISSED)
}

/** Writes these rows. The rows of other engines and paths stay. @param {string} name @param {import('./survey.js').Row[]} rows @param {string[]} order names of paths */
export function write(name, rows, order) {
  const known = new Map(lines(name).map((line) => [key(line), line]))
  for (const line of rows.map(cells)) known.set(key(line), line)
  const all = [...known.values()].filter(([path]) => order.includes(path)).sort((one, other) => order.indexOf(one[0]) - order.indexOf(other[0]) || one[1].localeCompare(other[1]))
  replace(name, HEAD, all)
}

/** Replaces the whole table. @param {string} name @param {string[]} head @param {string[][]} all */
export function replace(name, head, all) {
  const [begin, end] = marks(name)
  const text = readFileSync(FILE, 'utf8')
  const table = [markdown(head), markdown(head.map(() => '---')), ...all.map(markdown)].join('\n') + '\n'
  // Replace the file in one step, since another run may be reading it.
  const fresh = `${fileURLToPath(FILE)}.${process.pid}`
  writeFileSync(fresh, text.slice(0, text.indexOf(begin) + begin.length) + table + text.slice(text.indexOf(end)))
  renameSync(fresh, FILE)
}
