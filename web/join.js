/**
 * Which channels are wanted, and how the carrier is brought in line with it: subscribed in place on
 * WS; on SSE and polls, where nothing can be asked, by attaching anew.
 */
import { TriwayError } from './frame.js'

/** @typedef {import('./client.js').Hub} Hub */

/** Names that should be read now. @param {Hub} hub @param {boolean} [own] without what other tabs want */
export function wanted(hub, own) {
  // Somebody else's inbox can be written only.
  const read = [...hub.channels_.values()].filter(({ name }) => !/^@./.test(name))
  const names = read.flatMap(({ name, presence }) => (presence ? ['$presence/' + name, name] : name))
  return [...new Set([...names, ...((!own && hub.share_?.wanted()) || [])])]
}

/** Where a channel starts that no cursor covers. @param {Hub} hub @param {string} name */
export const start = (hub, name) => hub.places_.get(name) ?? hub.channels_.get(name)?.since

/** Soon brings what is read in line with what is wanted. @param {Hub} hub */
export function sync(hub) {
  queueMicrotask(() => {
    const { carrier_: carrier } = hub
    hub.share_?.sync()
    if (!carrier) return
    const { covered, plan, joining } = carrier
    // Who came while the channel was being joined was told by nobody.
    for (const channel of hub.channels_.values()) if (channel.presence && covered.has(channel.name) && covered.has('$presence/' + channel.name)) channel.compare()
    const names = wanted(hub)
    const fresh = names.filter((name) => !covered.has(name) && !joining.has(name))
    const stale = [...covered].filter((name) => !names.includes(name))
    if (!fresh.length && !stale.length) return
    if (!carrier.socket || (hub.presence_() && !plan.params.presence)) return hub.see_('reopen')
    for (const channel of stale) {
      covered.delete(channel)
      carrier.command({ type: 'unsubscribe', channel }, () => {})
    }
    for (const channel of fresh) subscribe(hub, carrier, channel)
  })
}

/** @param {Hub} hub @param {import('./attach.js').Attach} carrier @param {string} channel */
function subscribe(hub, carrier, channel) {
  carrier.joining.add(channel)
  carrier.command({ type: 'subscribe', channel, since: start(hub, channel) }, ({ ok, error }) => {
    carrier.joining.delete(channel)
    if (ok) carrier.covered.add(channel)
    else refuse(hub, [channel], new TriwayError(/** @type {any} */ (error).code, error))
    sync(hub)
  })
}

/** These channels are not to be had; the others go on. @param {Hub} hub @param {string[]} channels @param {TriwayError} error */
export function refuse(hub, channels, error) {
  for (const channel of channels) {
    const handle = hub.channels_.get(channel.replace('$presence/', ''))
    handle?.tell('error', { error })
    handle?.close()
  }
}
