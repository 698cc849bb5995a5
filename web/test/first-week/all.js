/**
 * Runs all subjects in one process, so that hubs, threads and browsers are started once: `node --test
 * test/first-week/all.js`.
 */
import './handles.test.js'
import './refused-channels.test.js'
import './end.test.js'
import './mistakes.test.js'
import './data.test.js'
import './limits.test.js'
import './outage.test.js'
import './share.test.js'
import './numbers.test.js'
import './origins.test.js'
import './leaks.test.js'
