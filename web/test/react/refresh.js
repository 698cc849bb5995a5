/** Hot module reload as bundlers do it: React Refresh, put in place before React is loaded. */
import runtime from 'react-refresh/runtime'

runtime.injectIntoGlobalHook(/** @type {any} */ (globalThis))

/**
 * What the transform of a bundler adds to a module.
 * @param {any} component @param {string} id @param {string} hooks signature of the hooks that it uses
 */
export function register(component, id, hooks) {
  runtime.register(component, id)
  runtime.setSignature(component, hooks, false)
}

export const reload = () => runtime.performReactRefresh()
