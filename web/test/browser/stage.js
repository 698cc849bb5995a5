/**
 * Tells the same stories in each browser, with a hub and a browser of their own.
 * This file knows no page and no story.
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
 * @param {Record<string, (stage: Stage) => Promise<void>>} stories  by what they show
 */
export function tell(title, stories) {
  // One story, for a look at it.
  const wanted = new RegExp(process.env.TRIWAY_STORY ?? '')
  for (const kind of BROWSERS) {
    describe(`${title} in ${kind}`, () => {
      const stage = /** @type {Stage} */ ({ kind })
      before(async () => {
        // No limit on publishing: a story says in one breath what people say in an hour.
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
