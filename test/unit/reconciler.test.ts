// The reconciler's loop, with rows and executions that cannot be had on demand: broken, slow, and many.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Log, RunFacts, RunRef } from '../../src/domain/ports.ts';
import { Reconciler, type ReconcilerParts } from '../../src/relay/reconciler.ts';
import { until } from '../support/until.ts';
import { runFacts } from './support/run-facts.ts';

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };

const lostRow = (id: number, changes: Partial<RunFacts> = {}) =>
  runFacts({ id: `018f0000-0000-7000-8000-${String(id).padStart(12, '0')}`, run: 1, ...changes });

interface World extends Partial<ReconcilerParts> {
  open?: RunFacts[];
  executing?: RunRef[];
  settled?: RunFacts[];
  onTerminate?(): void;
  listMs?: number;
}

function parts({ open = [], executing = [], settled = [], onTerminate = () => undefined, listMs = 0, ...given }: World): ReconcilerParts {
  const jobs = new Map([...open, ...settled].map((row) => [`${row.jobType}/${row.id}`, row]));
  return {
    rows: {
      lead: async () => true,
      doubtful: async () => [],
      next: async () => ({ rows: open, isLast: true }),
      ofJobs: async () => jobs,
      forgetWorkers: async () => undefined,
    },
    engine: { describe: async () => ({ status: 'not_found' }), cancel: async () => undefined, terminate: async () => onTerminate() },
    executions: {
      openAmong: async () => new Set<string>(),
      endedSince: async () => ({ runs: [], newest: null }),
      async *openRuns() {
        await sleep(listMs);
        yield executing;
      },
    },
    mirror: {
      ended: async () => 'applied',
      finalized: async () => ({ result: 'applied', status: 'FAILURE' }),
      nextRun: async () => ({ status: 'PENDING', run: 2, queue: 'default', runAt: null, priority: null }),
    },
    dispatch: async () => 'dispatched',
    whenLostOf: () => 'rerun',
    worker: 'me',
    log: SILENT,
    intervalMs: 20,
    isTransient: () => false,
    onRepair: () => undefined,
    ...given,
  };
}

describe('the reconciler', () => {
  it('goes on with the others when one row cannot be repaired, and with the executions of settled jobs', async () => {
    const open = Array.from({ length: 8 }, (_, i) => lostRow(i));
    const repaired = new Set<string>();
    let terminated = 0;
    const settled = lostRow(99, { status: 'REVOKED', settledForMs: 120_000 });
    const reconciler = new Reconciler(
      parts({
        open,
        settled: [settled],
        executing: [settled],
        onTerminate: () => terminated++,
        mirror: {
          ...parts({}).mirror,
          nextRun: async ({ id }) => {
            if (id === open[0]!.id) throw new Error('a trigger of the application says no');
            repaired.add(id);
            return { status: 'PENDING', run: 2, queue: 'default', runAt: null, priority: null };
          },
        },
      }),
    );
    reconciler.start();
    await until(() => repaired.size === 7 && terminated > 0);
    await reconciler.stop();
    expect(repaired).not.toContain(open[0]!.id);
  });

  it('sends nothing any more once it is told to stop, and stops soon', async () => {
    let terminated = 0;
    const settled = Array.from({ length: 1_000 }, (_, i) => lostRow(i, { status: 'REVOKED', settledForMs: 120_000 }));
    const reconciler = new Reconciler(parts({ settled, executing: settled, onTerminate: () => terminated++ }));
    reconciler.start();
    await until(() => terminated > 0);
    const before = performance.now();
    await reconciler.stop();
    // All of them take twenty seconds.
    expect(performance.now() - before).toBeLessThan(10_000);
    expect(terminated).toBeLessThan(1_000);
    const after = terminated;
    await sleep(100);
    expect(terminated).toBe(after);
  });

  it('says once that a job is left to people', async () => {
    let said = 0;
    let looks = 0;
    const log: Log = { ...SILENT, error: () => said++ };
    const engine: ReconcilerParts['engine'] = {
      ...parts({}).engine,
      describe: async () => {
        looks++;
        return { status: 'not_found' };
      },
    };
    const reconciler = new Reconciler(parts({ open: [lostRow(1, { status: 'STARTED' })], whenLostOf: () => 'report', log, engine }));
    reconciler.start();
    await until(() => looks > 2);
    await reconciler.stop();
    expect(said).toBe(1);
  });
});
