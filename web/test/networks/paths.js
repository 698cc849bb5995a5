/**
 * Every path of the table: the rules of the middlebox, the story, and the bounds. Knows the rules and the means of
 * a story (World); measures nothing itself.
 */
import { cutPaths } from './paths/cuts.js'
import { refusedPaths, mutePaths } from './paths/upgrade.js'
import { heldPaths } from './paths/held.js'
import { sendingPaths, pollPaths } from './paths/answers.js'
import { changePaths } from './paths/changes.js'
import { captivePaths } from './paths/captive.js'
import { clearPaths } from './paths/clear.js'
import { partPaths } from './paths/part.js'
import { alteredPaths, slowPaths } from './paths/altered.js'
import { silentPaths, outagePaths } from './paths/outages.js'
import { clockPaths, elsewherePaths } from './paths/page.js'
import { historyPaths } from './paths/history.js'
import { starvedPaths } from './paths/starved.js'
import { awayPaths, scriptPaths } from './paths/away.js'
import { lostWordPaths } from './paths/words.js'
import { lagPaths, omitPaths } from './paths/frames.js'
import { farPaths } from './paths/far.js'

/**
 * @typedef {object} Path
 * @property {string} name as in the table; names are unique
 * @property {string} [bound] in words, as in the table
 * @property {Parameters<import('../support/middlebox.js').Middlebox['set']>[0]} [rules]
 * @property {string[]} [flags] of the hub
 * @property {{transports?: string[], heartbeat?: number, token?: string, skewMs?: number, isEager?: boolean, cookie?: string}} [options] of the client, the fault of its clock, whether it speaks at once, and a cookie of its page
 * @property {import('../support/middlebox.js').Rules} [door] of a second middlebox, between the first one and the hub
 * @property {string} [host] the name by which the client calls the hub, instead of 127.0.0.1
 * @property {(world: import('./journey.js').World) => Promise<any>} [prepare] what happens before the client connects
 * @property {boolean} [isElsewhere] the page has another origin than the hub
 * @property {number} [padBytes] of each number that is published
 * @property {number} [everyMs] between the numbers that are published; 50
 * @property {number} [sayEveryMs] between the client's own; 100 by default, and 0 for none
 * @property {number} [arriveMostMs] how long the last ones may take
 * @property {(world: import('./journey.js').World) => Promise<any>} [fromStart] what happens before it is usable
 * @property {(world: import('./journey.js').World) => Promise<any>} [story] what happens after
 * @property {import('./judge.js').Bounds} bounds
 * @property {string[]} [engines] all by default
 * @property {(hubPort: number) => Promise<import('./journey.js').Front>} [front] a real proxy instead of the middlebox
 * @property {boolean} [fast] in the normal tier too
 * @property {boolean} [inBrowsers] in the normal tier in Chromium and Firefox too
 */

/**
 * These paths bound the time, the transport and the deliveries. Which of several true reasons is reported first
 * depends on the machine.
 */
const ANY_REASON = /^(start|channels|asked|(ws|sse|poll):[a-z]+)$/

/** @param {Path} path @returns {Path} */
const forAnyReason = (path) => ({ ...path, bounds: { reason: ANY_REASON, ...path.bounds } })

/** @type {Path[]} */
export const paths = [
  ...clearPaths, ...refusedPaths, ...mutePaths, ...heldPaths, ...cutPaths, ...sendingPaths, ...pollPaths, ...captivePaths, ...changePaths,
  ...partPaths, ...alteredPaths, ...slowPaths, ...silentPaths, ...outagePaths, ...clockPaths, ...elsewherePaths,
  ...[...historyPaths, ...starvedPaths, ...scriptPaths, ...awayPaths, ...lostWordPaths, ...omitPaths, ...lagPaths, ...farPaths].map(forAnyReason),
]
