/**
 * Opens a page. Firefox sometimes loses the page that it is opening (`browsingContext.create`: no such frame). In
 * that case, a second page is requested, once.
 * @param {any} context of a browser
 * @returns {Promise<any>}
 */
export async function newPage(context) {
  try {
    return await context.newPage()
  } catch (error) {
    if (!/DiscardedBrowsingContext/.test(String(error))) throw error
    return context.newPage()
  }
}

/**
 * Sets the size of a page. Puppeteer sends `emulation.setScreenOrientationOverride` with each size. Firefox before
 * version 144, and so ESR 140, does not know that command, but the size is set all the same.
 * @param {any} page @param {{width: number, height: number}} size
 */
export async function setViewport(page, size) {
  try {
    await page.setViewport(size)
  } catch (error) {
    if (!/emulation\.setScreenOrientationOverride/.test(String(error))) throw error
    await page.waitForFunction((/** @type {any} */ { width, height }) => innerWidth === width && innerHeight === height, {}, size)
  }
}
