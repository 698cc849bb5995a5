/**
 * Runs the same tests in each browser, with one browser and one hub for each group. This file knows no page and no
 * test.
 */
import { after, before, describe, test } from 'node:test'
import { Browser, BROWSERS, Hub } from './world.js'

/**
 * @typedef {object} Stage
 * @property {Hub} hub
 * @property {Browser} browser
 * @property {string} kind  of the browser
 */

/**
 * @param {string} title
 * @param {Record<string, (stage: Stage) => Promise<void>>} stories by title
 */
export function tell(title, stories) {
  // Selects tests by name, for debugging.
  const wanted = new RegExp(process.env.TRIWAY_STORY ?? '')
  for (const kind of BROWSERS) {
    describe(`${title} in ${kind}`, () => {
      const stage = /** @type {Stage} */ ({ kind })
      before(async () => {
        // No limit on publishing: a test sends in a second what people send in an hour.
        stage.hub = await Hub.start(['--publish-rate', '0'])
        stage.browser = await Browser.start(kind)
      })
      after(async () => {
        await stage.browser?.stop()
        await stage.hub?.stop()
      })
      for (const [name, story] of Object.entries(stories)) if (wanted.test(name)) test(name, () => story(stage))
    })
  }
}
