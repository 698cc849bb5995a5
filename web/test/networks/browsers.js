/**
 * Chromium and Firefox for the network table: headless. Each visit has its own context, uses the given proxy, and
 * accepts test certificates. Knows no path.
 */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import puppeteer from 'puppeteer-core'
import { newPage } from '../support/new-page.js'
import { callSeat, pageOf, takeSeat } from './engines.js'

/**
 * Time limits in ms: a cold start on busy cores, and the longest call, which is a hundred connects over a long
 * distance.
 */
const START_MS = 90_000
const CALL_MS = 300_000

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--disable-background-timer-throttling']
/** A name of this machine that is not loopback for browsers: a page there is no secure context. */
export const PLAIN_NAME = 'triway.test'
FLAGS.push(`--host-resolver-rules=MAP ${PLAIN_NAME} 127.0.0.1`)
/** The browser contacts no other site. */
const PREFERENCES = { 'network.dns.localDomains': PLAIN_NAME, 'network.captive-portal-service.enabled': false, 'network.connectivity-service.enabled': false }

/** @param {string} variable @param {string[]} names */
function found(variable, names) {
  const named = process.env[variable]
  if (named) return named
  for (const folder of (process.env.PATH ?? '').split(delimiter)) for (const name of names) if (existsSync(join(folder, name))) return join(folder, name)
  throw new Error(`no ${names[0]} on the PATH: install it, or name it in ${variable}`)
}

/** @param {string} name chromium or firefox @returns {Promise<import('./engines.js').Engine>} */
export async function startBrowser(name) {
  const isFirefox = name === 'firefox'
  const browser = await puppeteer.launch({
    browser: isFirefox ? 'firefox' : 'chrome',
    executablePath: isFirefox ? found('FIREFOX', ['firefox-esr', 'firefox']) : found('CHROMIUM', ['chromium', 'chromium-browser', 'google-chrome']),
    headless: true,
    timeout: START_MS,
    protocolTimeout: CALL_MS,
    acceptInsecureCerts: true,
    args: isFirefox ? [] : FLAGS,
    extraPrefsFirefox: PREFERENCES,
  })
  return { name, visit: (address, options, memory) => visit(browser, address, options, memory), stop: () => browser.close() }
}

/** @param {import('puppeteer-core').Browser} browser @param {string} address @param {any} [options] @param {string} [memory] */
async function visit(browser, address, { proxy, pageAt = address, ...options } = {}, memory) {
  // Without this, requests to loopback bypass the proxy.
  const context = await browser.createBrowserContext(proxy ? { proxyServer: proxy, proxyBypassList: ['<-loopback>'] } : {})
  /** @type {(() => Promise<void>)[]} */
  const tabs = []
  /** @param {any} options @param {string} [memory] */
  const open = async (options, memory) => {
    const page = await newPage(context)
    tabs.push(() => page.close())
    await page.goto(pageOf(pageAt))
    await page.evaluate(takeSeat(address, options, memory))
    return (/** @type {string} */ name, /** @type {any[]} */ ...args) => page.evaluate(callSeat(name, args))
  }
  return {
    call: await open(options, memory),
    async leave() {
      for (const close of tabs) await close()
      await context.close()
    },
    beside: async (/** @type {any} */ more) => ({ call: await open({ ...options, ...more }), async leave() {} }),
  }
}
