/** WebKit, driven by Debian's WebKitWebDriver. */
export async function startWebKit() { throw new Error('not yet') }
