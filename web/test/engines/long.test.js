/** The stories that take their time: hidden pages, sleep, freezing. */
import { tell } from './stage.js'
import hidden from './hidden.js'

tell(hidden)
