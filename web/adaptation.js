/**
 * The rules that apply only after something carried: the way back up to a better transport, and what cuts
 * teach. A part of its own, loaded after the first connection. A page without it keeps what carries, and
 * reconnects after a cut without learning from it: nothing is lost, it is only less comfortable.
 */
import { Climb } from './climb.js'
import { Cuts } from './cuts.js'

/** Raise it whenever the ladder calls these classes differently: a part of another version is not used. */
export const VERSION = 1

export class Adaptation {
  climb = new Climb()
  cuts = new Cuts()
}
