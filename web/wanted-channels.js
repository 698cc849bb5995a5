/** The channels that other tabs want to read, for the tab that reads for all. Forgets tabs that are gone. */

/** A follower sends its channels at each heartbeat, which is 60 s at most; one that is silent for this time, in ms, is gone. */
const SILENT_MS = 150_000

export class WantedChannels {
  /** By tab, with the time of its last message. @type {Map<string, {names: string[], at: number}>} */
  #byTab = new Map()

  /** @param {string} tab @param {string[]} names */
  set(tab, names) {
    this.#byTab.set(tab, { names, at: Date.now() })
  }

  /** @param {string} tab */
  delete(tab) {
    this.#byTab.delete(tab)
  }

  clear() {
    this.#byTab.clear()
  }

  /** Tabs that want something, or are still there. */
  get size() {
    return this.#byTab.size
  }

  /** Of all tabs, in the order of the tabs. */
  names() {
    return [...this.#byTab.values()].flatMap(({ names }) => names)
  }

  /** The hub refused these channels. @param {string[]} names */
  withdraw(names) {
    for (const tab of this.#byTab.values()) tab.names = tab.names.filter((name) => !names.includes(name))
  }

  /** @returns {boolean} whether a tab was gone */
  forgetSilent() {
    const { size } = this.#byTab
    for (const [tab, { at }] of this.#byTab) if (Date.now() - at > SILENT_MS) this.#byTab.delete(tab)
    return size !== this.#byTab.size
  }
}
