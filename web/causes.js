/**
 * Why a client left one transport for another, or tried the next one: the only list. A reason on the
 * wire is `TRANSPORT:CAUSE`, with TRANSPORT one of ws, sse and poll. `src/metrics.rs` counts by the
 * same list; a test compares the two.
 */

export const CAUSES = [
  'refused',
  'closed',
  'killed',
  'idle',
  'age',
  'silent',
  'mute',
  'held',
  'slow',
  'unproven',
  'incomplete',
  'starved',
  'foreign',
  'blocked',
  'expired',
  'drain',
  'busy',
  'gone',
  'http',
  'sleep',
  'error',
]
