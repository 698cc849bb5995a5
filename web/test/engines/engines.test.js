/**
 * The client in real engines: what a browser does to a page, and what the client makes of it.
 * `TRIWAY_BROWSERS=webkit` leaves the others out, `TRIWAY_STORY=killed` all stories of another name.
 */
import { tell } from './stage.js'
import back from './back.js'
import memory from './memory.js'
import shared from './shared.js'
import transports from './transports.js'
import workers from './workers.js'

tell({ ...transports, ...back, ...memory, ...workers, ...shared }, {
  'webkit: away and back, on server-sent events': 'this engine ends a stream before it says that the page goes, and that is held against the stream',
  'the tab that reads goes elsewhere and comes back: one reader all the time': 'a page in the cache of pages keeps its lock, or leads on when it is back',
  'a tab that does not read changes the transport for all': 'the wish does not reach the tab that reads',
})
