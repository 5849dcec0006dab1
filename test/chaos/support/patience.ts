/** Chaos waits for events: only what hangs meets this limit, also on a machine that is busy with other things. */
export const PATIENCE_MS = Number(process.env['CHAOS_PATIENCE_MS'] ?? 60_000);
