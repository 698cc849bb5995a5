/** WebKit for the network table. Each visit has its own session. Knows no path. */
import { Session, startScreen } from '../support/webdriver.js'
import { callSeat, pageOf, takeSeat } from './engines.js'

/** @returns {Promise<import('./engines.js').Engine>} */
export async function startWebKit() {
  const screen = await startScreen()
  return {
    name: 'webkit',
    visit: (address, options, memory) => visit(screen.name, address, options, memory),
    async stop() {
      screen.end()
    },
  }
}

/** @param {string} display @param {string} address @param {any} [options] @param {string} [memory] */
async function visit(display, address, { pageAt = address, ...options } = {}, memory) {
  const session = await Session.start(display)
  try {
    await session.ask('POST', '/url', { url: pageOf(pageAt) })
    await session.evaluate(takeSeat(address, options, memory))
  } catch (error) {
    await session.end()
    throw error
  }
  return {
    call: (/** @type {string} */ name, /** @type {any[]} */ ...args) => session.evaluate(callSeat(name, args)),
    leave: () => session.end(),
  }
}
