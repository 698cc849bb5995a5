/** The channels that other tabs want to read, for the tab that reads for all. Forgets tabs that are gone. */
export declare class WantedChannels {
    #private;
    /** @param {string} tab @param {string[]} names */
    set(tab: string, names: string[]): void;
    /** @param {string} tab */
    delete(tab: string): void;
    clear(): void;
    /** Tabs that want something, or are still there. */
    get size(): number;
    /** Of all tabs, in the order of the tabs. */
    names(): string[];
    /** The hub refused these channels. @param {string[]} names */
    withdraw(names: string[]): void;
    /** @returns {boolean} whether a tab was gone */
    forgetSilent(): boolean;
}
