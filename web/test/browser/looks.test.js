/**
 * The page with the keyboard alone, on a phone of 320 px, in dark mode, in the accessibility tree, and with
 * right-to-left scripts. Screenshots are kept for review.
 */
import assert from 'node:assert/strict'
import { Visitor } from './visitor.js'
import { tell } from './stage.js'
import { Browser } from './world.js'

/** @typedef {import('./stage.js').Stage} Stage */

/** The contrast that WCAG AA requires for text of normal size. */
const AA_CONTRAST = 4.5

tell('the looks and reach of the chat page', {
  async 'the keyboard alone is enough: name, message, private message, switch'({ hub, browser }) {
    const bob = await Visitor.enter(browser, `${hub.address}/#keys`, 'Bob')
    const ann = await Visitor.open(browser, `${hub.address}/#keys`)
    const { keyboard } = ann.page
    const focused = () => ann.page.evaluate(() => document.activeElement?.id || document.activeElement?.className || '')
    await ann.sees('the question for a name', () => document.activeElement?.id === 'nickname')
    await keyboard.type('Ann')
    await keyboard.press('Enter')
    await ann.sees('the focus in the message box', () => document.activeElement?.id === 'text')
    await ann.isConnected()
    await keyboard.type('by keys')
    await keyboard.down('Shift')
    await keyboard.press('Enter')
    await keyboard.up('Shift')
    await keyboard.type('in two lines')
    await keyboard.press('Enter')
    await bob.seesLine('by keys\nin two lines')
    assert.equal(await focused(), 'text', 'the focus stays where one writes')

    await ann.seesPerson('Bob')
    for (let steps = 0; steps < 12 && (await focused()) !== 'person'; steps++) await keyboard.press('Tab')
    assert.equal(await focused(), 'person')
    const outline = await ann.page.evaluate(() => getComputedStyle(/** @type {Element} */ (document.activeElement)).outlineStyle)
    assert.notEqual(outline, 'none', 'the focus is visible')
    await keyboard.press('Enter')
    await ann.sees('the focus in the message box', () => document.activeElement?.id === 'text')
    await keyboard.type('a quiet word')
    await keyboard.press('Enter')
    assert.ok((await bob.seesLine('a quiet word')).private)
    await keyboard.press('Escape')
    await ann.sees('the private mode to end', () => /** @type {HTMLElement} */ (document.querySelector('#whisper')).hidden)

    for (let steps = 0; steps < 20; steps++) {
      await keyboard.press('Tab')
      if (await ann.page.evaluate(() => document.activeElement instanceof HTMLInputElement && document.activeElement.name === 'use')) break
    }
    for (let steps = 0; steps < 3; steps++) await keyboard.press('ArrowRight')
    await ann.isConnected('poll')
    for (const visitor of [ann, bob]) {
      visitor.isClean()
      await visitor.leave()
    }
  },

  async 'every control has a name, every landmark is there, the log is live'({ hub, browser }) {
    const ann = await Visitor.enter(browser, `${hub.address}/#names`, 'Ann')
    const found = await ann.page.evaluate(() => {
      const nameless = [...document.querySelectorAll('button, input, textarea, a, summary')].filter((each) => {
        const labels = each instanceof HTMLInputElement || each instanceof HTMLTextAreaElement ? [...(each.labels ?? [])] : []
        const name = each.getAttribute('aria-label') || labels.map((label) => label.textContent).join('') || each.textContent
        return !name?.trim() && !(each instanceof HTMLElement && each.hidden)
      })
      const log = document.querySelector('[role=log]')
      return {
        nameless: nameless.map((each) => each.outerHTML),
        landmarks: ['header', 'main', 'aside', 'nav'].filter((each) => !document.querySelector(each)),
        live: log?.getAttribute('aria-live'),
        label: log?.getAttribute('aria-label'),
        lang: document.documentElement.lang,
        headings: document.querySelectorAll('h1').length,
        inline: document.querySelectorAll('[style]:not(#text):not(.line):not(#people li), script:not([src]), style').length,
      }
    })
    assert.deepEqual(found, { nameless: [], landmarks: [], live: 'polite', label: 'Messages in names', lang: 'en', headings: 1, inline: 0 })
    await ann.leave()
  },

  'legible in light, on a desk and on a phone of 320 px, with any script': (stage) => legible(stage, 'light'),

  'legible in dark, on a desk and on a phone of 320 px, with any script': (stage) => legible(stage, 'dark'),
})

/**
 * Checks that the page is legible on a desktop and on a phone of 320 px, with any script.
 * @param {Stage} stage @param {'light' | 'dark'} scheme
 */
async function legible({ hub, browser, kind }, scheme) {
  const room = `looks-${scheme}`
  await fillRoom(hub, room)
  const painter = kind === 'chromium' ? browser : await Browser.start(kind, { scheme })
  for (const [place, width, height] of /** @type {const} */ ([['desk', 1100, 760], ['phone', 320, 640]])) {
    const ann = await Visitor.open(painter, `${hub.address}/#${room}`, { width, height })
    assert.ok(await wears(ann, scheme))
    await ann.shot(`welcome-${place}-${scheme}`)
    await ann.giveName('Ann')
    await ann.seesLine('the last word')
    await ann.isConnected()
    await ann.shot(`${place}-${scheme}`)
    assert.deepEqual(await overhang(ann), [], `nothing is wider than the ${place}`)
    assert.deepEqual(await faint(ann), [], `contrast on the ${place} in ${scheme}`)
    if (place === 'phone') await opensDrawer(ann, scheme)
    ann.isClean()
    await ann.leave()
  }
  if (painter !== browser) await painter.stop()
}

/** @param {Visitor} ann @param {string} scheme */
async function opensDrawer(ann, scheme) {
  await ann.click('#side-button')
  await ann.sees('the drawer', () => document.activeElement?.id === 'side-close')
  await ann.shot(`drawer-${scheme}`)
  assert.deepEqual(await faint(ann), [])
  await ann.page.keyboard.press('Escape')
  await ann.sees('the focus back on its button', () => document.activeElement?.id === 'side-button')
}

/** Returns the elements that are wider than the window or the log. @param {Visitor} visitor */
function overhang(visitor) {
  return visitor.page.evaluate(() => {
    const boxes = [document.documentElement, /** @type {Element} */ (document.querySelector('#log'))]
    return boxes.filter((each) => each.scrollWidth > each.clientWidth).map((each) => `${each.tagName} ${each.scrollWidth} > ${each.clientWidth}`)
  })
}

/** @param {import('./world.js').Hub} hub @param {string} room */
async function fillRoom(hub, room) {
  const say = (/** @type {string} */ nick, /** @type {string} */ text) => hub.publish(room, JSON.stringify({ nick, text }), 'application/json')
  await say('美咲', 'おはようございます。とても長い日本語の文章でも、きちんと折り返されるはずです。')
  await say('سارة', 'مرحبا بالجميع، كيف الحال اليوم؟ (with some English inside) هذا نص للتجربة.')
  await say('Ünsal-Wolfeschlegelsteinhausenbergerdorff', 'Averylongwordwithoutanybreak'.repeat(6))
  await say('Z̷̨̛̗͓̜̝͇͉̞̏̾̏̀͊͘ą̸l̴g̵o̶', 't̸̢̛͓̜̝͇͉̞̏̾̏̀͊͘e̷x̴t̸ that climbs')
  await hub.publish(room, 'two lines\n  of plain text, by curl')
  await say('Ben', 'the last word')
}

/** @param {Visitor} visitor @param {'light' | 'dark'} scheme */
async function wears(visitor, scheme) {
  const { kind } = visitor.browser
  if (kind === 'chromium') await visitor.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
  return visitor.page.evaluate((scheme) => matchMedia(`(prefers-color-scheme: ${scheme})`).matches, scheme)
}

/**
 * Returns the texts whose contrast with their background is below AA. It measures the colours that the browser
 * computed. They are drawn on a canvas, which converts oklch to red, green and blue.
 * @param {Visitor} visitor
 */
function faint(visitor) {
  return visitor.page.evaluate((least) => {
    const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement('canvas').getContext('2d', { willReadFrequently: true }))
    const rgba = (/** @type {string} */ colour) => {
      pen.clearRect(0, 0, 1, 1)
      pen.fillStyle = colour
      pen.fillRect(0, 0, 1, 1)
      return [...pen.getImageData(0, 0, 1, 1).data]
    }
    const light = (/** @type {number[]} */ [r = 0, g = 0, b = 0]) => {
      const [x = 0, y = 0, z = 0] = [r, g, b].map((each) => (each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4))
      return 0.2126 * x + 0.7152 * y + 0.0722 * z
    }
    const behind = (/** @type {Element | null} */ each) => {
      for (; each; each = each.parentElement) {
        const colour = rgba(getComputedStyle(each).backgroundColor)
        if (colour[3] === 255) return colour
      }
      return [255, 255, 255]
    }
    const found = []
    for (const each of document.querySelectorAll('body *')) {
      const hasText = [...each.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim())
      const box = each.getBoundingClientRect()
      if (!hasText || box.width < 2 || box.height < 2 || !each.checkVisibility()) continue
      const [one, two] = [light(rgba(getComputedStyle(each).color)), light(behind(each))].sort((a, b) => b - a)
      const contrast = (/** @type {number} */ (one) + 0.05) / (/** @type {number} */ (two) + 0.05)
      if (contrast < least) found.push(`${each.textContent?.slice(0, 30)}: ${contrast.toFixed(2)}`)
    }
    return found
  }, AA_CONTRAST)
}
