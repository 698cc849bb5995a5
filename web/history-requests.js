/**
 * Pages of history, as the hub sends them: requested over the carrier's WebSocket, or by a request of their
 * own. Knows no handle and no size of pages: history.js says what to request next.
 */
import { TriwayError } from './error.js'
import { elementsOf, membersOf } from './json.js'

/** How long the first page lets publishes go before it, in ms. */
const PUBLISH_FIRST_MS = 1500
/** Events of one page at most: the hub's bound. */
const PAGE_EVENTS = 1000

export class HistoryRequests {
  #connection
  #outbox
  #requests
  /** The first page has let publishes go before it. */
  #hasYielded = false

  /**
   * @param {object} context
   * @param {import('./connection.js').Connection} context.connection
   * @param {import('./outbox.js').Outbox} context.outbox
   * @param {import('./requests.js').Requests} context.requests
   */
  constructor({ connection, outbox, requests }) {
    this.#connection = connection
    this.#outbox = outbox
    this.#requests = requests
  }

  /** @param {string} channel @param {string} since @param {number} bytes of data at most @returns {Promise<string>} the page, as JSON */
  async page(channel, since, bytes) {
    // The path is proven first, and queued publishes leave before.
    await this.#connection.whenCarried()
    if (!this.#hasYielded) await this.#outbox.idle(PUBLISH_FIRST_MS)
    this.#hasYielded = true
    const query = { since, bytes, limit: PAGE_EVENTS }
    const { carrier } = this.#connection
    return carrier?.socket ? overSocket(carrier, { type: 'history', channel, ...query }) : this.#byRequest(channel, query)
  }

  /** @param {string} channel @param {object} query @returns {Promise<string>} */
  async #byRequest(channel, query) {
    try {
      return await this.#requests.requestText('history', { channels: channel, ...query })
    } catch (/** @type {any} */ error) {
      if (error.code === 'session_expired') this.#connection.renew()
      if (error.kind !== 'altered') throw error
      // Something on the way cut the address: a body says the same.
      const [reply] = elementsOf(await this.#requests.commandText(JSON.stringify([{ type: 'history', channel, ...query }])))
      const { error: refusal } = membersOf(reply)
      if (refusal) throw refusalOf(JSON.parse(refusal))
      return reply
    }
  }
}

/** @param {import('./attachment.js').Attachment} carrier @param {object} command @returns {Promise<string>} */
const overSocket = (carrier, command) =>
  new Promise((resolve, reject) => {
    carrier.command(JSON.stringify(command), ({ ok, json = '', error }) => {
      if (ok) resolve(json)
      else reject(refusalOf(error))
    })
  })

/** Why there is no page, by the hub's reply. @param {any} error */
const refusalOf = (error) => new TriwayError(error?.code ?? 'closed', { ...error, kind: error?.code === 'closed' || (error?.status ?? 500) >= 429 ? 'passing' : 'final' })
