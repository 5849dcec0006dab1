// SIGTERM and SIGINT: the first drains, the second ends the process now.
import type { Log } from '../domain/ports.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** What a shell reports for a process that a signal ended: 128 + its number. */
const EXIT_CODES = { SIGTERM: 143, SIGINT: 130 } as const;

/** Calls `shutdown` at the first signal, `now` before the second one ends the process; returns how to stop listening. */
export function onShutdownSignals(log: Log, shutdown: () => void, now: () => void = () => undefined): () => void {
  let received = 0;
  const onSignal = (signal: (typeof SIGNALS)[number]) => {
    if (++received > 1) {
      log.warn({ signal }, 'second signal: ending now; what runs is taken over when this worker is found dead');
      now();
      process.exit(EXIT_CODES[signal]);
    }
    log.info({ signal }, 'shutting down: no further jobs, running ones may finish; a second signal ends now');
    shutdown();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}
