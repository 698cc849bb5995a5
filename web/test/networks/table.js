/**
 * The table in docs/networks.md: written from rows, and compared with rows. What takes time, and how
 * many requests that makes, differs from run to run; all else must not. Pure but for the file.
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

/** Where a path allows several transports, any of them is alike. @param {string | undefined} transports @param {string[]} carried */
const isAllowed = (transports = '', ...carried) => transports.includes('|') && carried.every((each) => transports.split('|').includes(each))

/** Where a path allows several reasons, such as the two ways to notice a hub that is gone, any of them is alike. @param {RegExp | undefined} reason @param {string[]} told */
const isAlike = (reason, ...told) => !!reason && told.every((each) => reason.test(each.replaceAll('`', '')))

/** A bound that was not kept stands in the table as such. */
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
 * What differs, in words. Rows that were not travelled are left alone unless the run was whole.
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
    // Where the bound is missed, as is known, nothing else is firm.
    else if (old[BOUND] === line[BOUND] && row.wrong.length) continue
    else for (const column of FIRM) if (old[column] !== line[column] && !(column === REASON && isAlike(reason, old[column], line[column])) && !(column === TRANSPORT && isAllowed(transport, old[column], line[column]))) differences.push(`${key(line)}: ${HEAD[column]} is ${line[column]}, in docs/networks.md ${old[column]}`)
  }
  if (isWhole) for (const gone of known.keys()) differences.push(`${gone}: in docs/networks.md, but no path`)
  return differences
}

/** Whether the table has this bound as missed, or does not have it yet. @param {string} name @param {string} path @param {string} engine */
export function isMissed(name, path, engine) {
  const line = lines(name).find((line) => line[0] === path && line[1] === engine)
  return !line || line[BOUND].endsWith(MISSED)
}

/** Puts these rows in; those of other engines and paths stay. @param {string} name @param {import('./survey.js').Row[]} rows @param {string[]} order names of paths */
export function write(name, rows, order) {
  const known = new Map(lines(name).map((line) => [key(line), line]))
  for (const line of rows.map(cells)) known.set(key(line), line)
  const all = [...known.values()].filter(([path]) => order.includes(path)).sort((one, other) => order.indexOf(one[0]) - order.indexOf(other[0]) || one[1].localeCompare(other[1]))
  replace(name, HEAD, all)
}

/** Puts a whole table in the place of the one that is there. @param {string} name @param {string[]} head @param {string[][]} all */
export function replace(name, head, all) {
  const [begin, end] = marks(name)
  const text = readFileSync(FILE, 'utf8')
  const table = [markdown(head), markdown(head.map(() => '---')), ...all.map(markdown)].join('\n') + '\n'
  // In one step: another run may be reading it.
  const fresh = `${fileURLToPath(FILE)}.${process.pid}`
  writeFileSync(fresh, text.slice(0, text.indexOf(begin) + begin.length) + table + text.slice(text.indexOf(end)))
  renameSync(fresh, FILE)
}
