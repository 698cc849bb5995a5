/** A guest in a dedicated worker, called with messages. */
import { serve } from '/guest-shared-worker.js'

serve(/** @type {any} */ (globalThis))
