/**
 * How middleboxes alter a whole response besides holding it: another status, another type, an older HTTP, a banner
 * of their own. Knows heads and bodies, and no socket.
 */
import { headerOf, without } from './http.js'

/** @typedef {import('./http.js').Head} Head */

/**
 * @typedef {object} AlterRule
 * @property {number} [status] instead of 200; 204 and 304 have no body
 * @property {string} [type] instead of the content type
 * @property {boolean} [oldHttp] the response is forwarded as HTTP/1.0: without chunks, and it ends with the connection
 * @property {boolean} [close] the connection ends after each response
 * @property {'before' | 'after' | 'within' | 'script'} [banner] an insertion of the middlebox in the body; `script` is appended only to text and JSON, and not to scripts
 */

/** As providers insert it into pages that seem to be HTML. */
export const BANNER = Buffer.from('<!-- this page was brought to you by your provider --><script src="//ads.invalid/x.js"></script>\n')

/** As middleboxes append it to anything that looks like text, without a line break. */
export const SCRIPT = Buffer.from('<script src="//ads.invalid/x.js">track("<page>")</script>')

/** Returns whether this response gets a banner. @param {Head} head @param {AlterRule['banner']} banner */
export const isBannered = (head, banner) => !!banner && (banner !== 'script' || /^text\/(?!javascript)|json/i.test(headerOf(head, 'content-type') ?? ''))

export const isBare = (/** @type {Head} */ { start }) => / (204|304) /.test(start)

/** @param {Head} head @param {AlterRule} rule @returns {Head} */
export function alteredHead(head, { status, type, oldHttp, close }) {
  let altered = { start: head.start, headers: [...head.headers] }
  if (status) altered.start = altered.start.replace(/ 200 .*$/, ` ${status} Altered`)
  if (isBare(altered)) altered = without(altered, 'content-length', 'transfer-encoding', 'content-type')
  if (type && headerOf(altered, 'content-type')) altered = { ...without(altered, 'content-type'), headers: [...without(altered, 'content-type').headers, ['Content-Type', type]] }
  if (oldHttp) altered.start = altered.start.replace('HTTP/1.1', 'HTTP/1.0')
  if (oldHttp || close) altered.headers.push(['Connection', 'close'])
  return altered
}

/** Inserts the banner into a body. @param {AlterRule['banner']} banner @param {(bytes: Buffer) => void} out */
export function bannered(banner, out) {
  let hasBegun = false
  return {
    pour(/** @type {Buffer} */ bytes) {
      if (banner === 'within' ? hasBegun : banner === 'before' && !hasBegun) out(BANNER)
      hasBegun = true
      out(bytes)
    },
    end() {
      if (banner === 'after') out(BANNER)
      if (banner === 'script') out(SCRIPT)
    },
  }
}

/** Returns the key under which a response is cached. @param {import('../middlebox.js').Request} request @param {NonNullable<import('../middlebox.js').Rule['cache']>} cache */
export const cacheKey = ({ kind, url }, cache) => (cache === 'url' ? url : cache === 'path' ? url.split('?')[0] : kind)
