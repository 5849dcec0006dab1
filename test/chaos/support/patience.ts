/** CHAOS_LONG=1: the long forms of the scenarios, for nights rather than for every change. */
export const IS_LONG = Boolean(process.env['CHAOS_LONG']);

/** Chaos waits for events: only what hangs meets this limit, also on a machine that is busy with other things. */
export const PATIENCE_MS = Number(process.env['CHAOS_PATIENCE_MS'] ?? (IS_LONG ? 600_000 : 120_000));
