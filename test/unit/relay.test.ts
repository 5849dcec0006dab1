import { expect, it, vi } from 'vitest';
import type { Log, UndispatchedRun } from '../../src/domain/ports.ts';
import { Relay } from '../../src/relay/relay.ts';

const run = (id: string, ageMs: number): UndispatchedRun => ({
  jobType: 'Report',
  id,
  run: 1,
  queue: 'default',
  runAt: null,
  priority: null,
  ageMs,
});

function relayOf(found: UndispatchedRun[][]): { relay: Relay; warnings: string[] } {
  const warnings: string[] = [];
  const log: Log = { debug() {}, info() {}, error() {}, warn: (_, message) => void warnings.push(message), child: () => log };
  const sweeps = found.values();
  const relay = new Relay({
    source: {
      async sweep(_, dispatch) {
        const runs = sweeps.next().value ?? [];
        await dispatch(runs);
        return runs.length;
      },
    },
    dispatch: () => Promise.resolve('away'),
    noted: () => Promise.resolve(),
    intervalMs: 1_000,
    log,
  });
  return { relay, warnings };
}

it('knows what its last sweep found, also when that was nothing', async () => {
  const { relay } = relayOf([[run('a', 7_000), run('b', 9_000.4)], []]);
  expect(relay.lastSweep).toBeNull();
  await relay.sweep();
  expect(relay.lastSweep).toEqual({ found: 2, oldestMs: 9_000 });
  await relay.sweep();
  expect(relay.lastSweep).toEqual({ found: 0, oldestMs: 0 });
});

it('warns of a job that waits for more than a minute, once a minute', async () => {
  vi.useFakeTimers();
  try {
    const { relay, warnings } = relayOf([[run('a', 59_000)], [run('a', 61_000)], [run('a', 62_000)], [run('a', 122_000)]]);
    await relay.sweep();
    expect(warnings).toEqual([]);
    await relay.sweep();
    await relay.sweep();
    expect(warnings).toEqual(['committed jobs waited up to 61 s for their dispatch (1 found)']);
    vi.advanceTimersByTime(60_000);
    await relay.sweep();
    expect(warnings).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});
