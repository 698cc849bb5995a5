/**
 * Runs paths and judges them. If a busy machine misses a bound in time, the path is repeated alone. A lost,
 * duplicated or disordered event is never excused.
 */
import { travel } from './journey.js'
import { judge } from './judge.js'

/** The most runs for a bound in time: other work on the same cores must not fail a test, but a slow client must. */
const TRIES_MOST = 3

/**
 * @typedef {object} Row one line of the table
 * @property {string} engine
 * @property {import('./paths.js').Path} path
 * @property {any} measured
 * @property {string[]} wrong
 */

/** @param {import('./paths.js').Path} path @param {import('./engines.js').Engine} engine @returns {Promise<Row>} */
export async function survey(path, engine) {
  const measured = await travel(path, engine).catch((/** @type {any} */ error) => ({ failed: String(error?.stack ?? error) }))
  const wrong = measured.failed ? [measured.failed] : judge(measured, path.bounds)
  return { engine: engine.name, path, measured, wrong }
}

/** @param {Row} row */
const isExcusable = ({ measured, wrong }) => wrong.length > 0 && !measured.failed && !measured.twice && !measured.disorder && !measured.lost && !measured.rejected.length

/** @param {import('./paths.js').Path} path @param {import('./engines.js').Engine} engine */
async function surveyAgain(path, engine) {
  let row = await survey(path, engine)
  for (let tries = 2; tries < TRIES_MOST && isExcusable(row); tries++) row = await survey(path, engine)
  return row
}

/**
 * @param {import('./paths.js').Path[]} paths
 * @param {import('./engines.js').Engine} engine
 * @param {number} atOnce
 * @param {(row: Row, isAgain: boolean) => void} [tell]
 * @returns {Promise<Row[]>} in the order of the paths
 */
export async function surveyAll(paths, engine, atOnce, tell = () => {}) {
  /** @type {Row[]} */
  const rows = []
  const left = [...paths.entries()]
  const line = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [index, path] = next
      tell((rows[index] = await survey(path, engine)), false)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, line))
  for (const [index, row] of rows.entries()) if (isExcusable(row)) tell((rows[index] = await surveyAgain(row.path, engine)), true)
  return rows
}
