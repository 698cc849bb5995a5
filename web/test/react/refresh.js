/** Hot module reload, as bundlers do it: React Refresh must be installed before React is loaded. */
import runtime from 'react-refresh/runtime'

runtime.injectIntoGlobalHook(/** @type {any} */ (globalThis))

/**
 * Registers a component, as the transform of a bundler does.
 * @param {any} component @param {string} id @param {string} hooks signature of the hooks that it uses
 */
export function register(component, id, hooks) {
  runtime.register(component, id)
  runtime.setSignature(component, hooks, false)
}

export const reload = () => runtime.performReactRefresh()
