/** A guest in a worker of its own, called by messages. */
import { serve } from '/guest-shared-worker.js'

serve(/** @type {any} */ (globalThis))
