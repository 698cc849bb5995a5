/** The slow tests: hidden pages, sleep, freezing. */
import { BROWSERS } from '../browser/world.js'
import { tell } from './stage.js'
import hidden from './hidden.js'

tell(BROWSERS, hidden)
