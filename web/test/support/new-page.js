/**
 * Opens a page. Firefox at times loses the page that it is opening (`browsingContext.create`: no such frame):
 * then there is none, and it is asked for another one, once.
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
