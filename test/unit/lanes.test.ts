// A lane's loop and its opener, with rows and attempts that are made up: what is claimed when, and which lane is open.
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AttemptEnd, RunningAttempt } from '../../src/domain/attempt.ts';
import { AsyncJobError, type ErrorRecord } from '../../src/domain/errors.ts';
import type { LaneExecution } from '../../src/domain/lane.ts';
import type { LaneRequest, Log, StartedRow } from '../../src/domain/ports.ts';
import { Lane, type LaneParts } from '../../src/lanes/lane.ts';
import { LaneOpener, type LaneOpenerParts } from '../../src/lanes/lane-opener.ts';
import { until } from '../support/until.ts';

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
const REF = { jobType: 'Parcel', queue: 'default', worker: 'me' };
const SUCCEEDED: AttemptEnd = { kind: 'succeeded' };

/** A queue in memory. */
function queueOf(count: number) {
  const waiting = Array.from({ length: count }, (_, i) => `job-${i}`);
  const requests: LaneRequest[] = [];
  const listed = new Set<string>();
  const unhandled: string[] = [];
  return {
    waiting,
    unhandled,
    requests,
    listed,
    rows: {
      async claim(request: LaneRequest): Promise<StartedRow[]> {
        requests.push(request);
        return waiting
          .splice(0, request.limit)
          .map((id) => ({ ref: { jobType: 'Parcel', id, run: 1, attempt: 1, runId: 'lane' }, row: {} }));
      },
      takeOver: async (): Promise<StartedRow[]> => [],
      hasWork: async () => waiting.length > 0,
      unhandled: async (_look: object, { message }: ErrorRecord) => void unhandled.push(`${waiting.join()}: ${message}`),
    },
    list: {
      get jobs() {
        return [...listed];
      },
      async claiming(claim: () => Promise<StartedRow[]>) {
        const some = await claim();
        for (const { ref } of some) listed.add(ref.id);
        return some;
      },
      ended: ({ ref }: StartedRow) => void listed.delete(ref.id),
    },
  };
}

function laneOf(queue: ReturnType<typeof queueOf>, parts: Partial<LaneParts> = {}): Lane {
  return new Lane({
    ...REF,
    workflowId: 'w',
    runId: 'r',
    policy: { concurrency: 4, lingerMs: 20 },
    crashRetries: 3,
    rows: queue.rows,
    list: queue.list,
    run: () => ({ handlerEnded: Promise.resolve(), ended: Promise.resolve(SUCCEEDED) }),
    takeoverIntervalMs: 60_000,
    drainTimeoutMs: 20,
    log: SILENT,
    ...parts,
  });
}

/** Attempts that end when they are told to. */
function attemptsByHand() {
  const begun = new Map<string, { handlerReturns(): void; isWritten(): void }>();
  return {
    begun,
    run({ ref }: StartedRow): RunningAttempt {
      const handler = Promise.withResolvers<void>();
      const written = Promise.withResolvers<AttemptEnd>();
      begun.set(ref.id, { handlerReturns: () => handler.resolve(), isWritten: () => written.resolve(SUCCEEDED) });
      return { handlerEnded: handler.promise, ended: written.promise };
    },
  };
}

function* begunOneByOne(begun: ReturnType<typeof attemptsByHand>['begun'], from = 0, count = 1_000) {
  for (let i = from; i < from + count; i++) yield until(() => begun.get(`job-${i}`), { what: `job-${i} begins` });
}

describe('a lane', () => {
  afterEach(() => void vi.useRealTimers());

  it('runs what there is and ends when there has been nothing for its linger time', async () => {
    const queue = queueOf(10);
    expect(await laneOf(queue).run()).toEqual({ jobs: 10, why: 'empty' });
    expect(queue.listed.size).toBe(0);
    expect(Math.max(...queue.requests.map(({ limit }) => limit))).toBe(4);
  });

  it('fills a slot as soon as its handler has returned, whether or not its end is written', async () => {
    const queue = queueOf(5);
    const { begun, run } = attemptsByHand();
    const lane = laneOf(queue, { run });
    const ended = lane.run();
    await until(() => begun.size === 4);
    expect(queue.waiting).toEqual(['job-4']);
    begun.get('job-0')!.handlerReturns();
    await until(() => begun.size === 5);
    expect(queue.listed.size).toBe(5);
    for (const { handlerReturns, isWritten } of begun.values()) {
      handlerReturns();
      isWritten();
    }
    expect(await ended).toEqual({ jobs: 5, why: 'empty' });
  });

  it('does not ask again for what was not there when a slot becomes free, but when it is woken', async () => {
    // It would also look by itself after a second.
    vi.useFakeTimers({ toFake: ['performance'] });
    const queue = queueOf(3);
    const { begun, run } = attemptsByHand();
    const lane = laneOf(queue, { run });
    const ended = lane.run();
    await until(() => begun.size === 3);
    const asked = queue.requests.length;
    begun.get('job-0')!.handlerReturns();
    begun.get('job-0')!.isWritten();
    await until(() => queue.listed.size === 2);
    expect(queue.requests).toHaveLength(asked);
    queue.waiting.push('job-3');
    lane.wake();
    await until(() => begun.size === 4);
    vi.useRealTimers();
    for (const { handlerReturns, isWritten } of begun.values()) {
      handlerReturns();
      isWritten();
    }
    expect(await ended).toEqual({ jobs: 4, why: 'empty' });
  });

  it('goes on when ends have been written, of which too many were waiting', async () => {
    const queue = queueOf(1_010);
    const { begun, run } = attemptsByHand();
    const ended = laneOf(queue, { run, policy: { concurrency: 50, lingerMs: 20 } }).run();
    for (const of of begunOneByOne(begun)) (await of).handlerReturns();
    await turnOfTheLoop();
    expect(begun.size).toBe(1_000);
    for (const { isWritten } of begun.values()) isWritten();
    for (const of of begunOneByOne(begun, 1_000, 10)) {
      (await of).handlerReturns();
      (await of).isWritten();
    }
    expect(await ended).toEqual({ jobs: 1_010, why: 'empty' });
  });

  it('keeps a job on the list until its handler has returned, also when its end is written before', async () => {
    const queue = queueOf(1);
    const { begun, run } = attemptsByHand();
    const ended = laneOf(queue, { run }).run();
    await until(() => begun.size === 1);
    begun.get('job-0')!.isWritten();
    expect(await ended).toEqual({ jobs: 1, why: 'empty' });
    expect([...queue.listed]).toEqual(['job-0']);
    begun.get('job-0')!.handlerReturns();
    await until(() => queue.listed.size === 0);
  });

  it('claims nothing more once it is closed, and tells what runs after the drain time', async () => {
    const queue = queueOf(9);
    const { begun, run } = attemptsByHand();
    const signals: AbortSignal[] = [];
    const lane = laneOf(queue, {
      run(started, signal) {
        signals.push(signal);
        return run(started);
      },
    });
    const ended = lane.run();
    await until(() => begun.size === 4);
    lane.close('shutdown');
    await lane.claimsNoMore;
    await until(() => signals[0]!.aborted);
    expect(signals[0]!.reason).toMatchObject({ reason: 'shutdown' });
    for (const { handlerReturns, isWritten } of begun.values()) {
      handlerReturns();
      isWritten();
    }
    expect(await ended).toEqual({ jobs: 4, why: 'shutdown' });
    expect(queue.waiting).toHaveLength(5);
  });

  it('goes on when a claim fails', async () => {
    const queue = queueOf(1);
    let failures = 0;
    const rows = {
      ...queue.rows,
      async claim(request: LaneRequest) {
        if (failures++ === 0) throw new Error('away');
        return queue.rows.claim(request);
      },
    };
    expect(await laneOf(queue, { rows })!.run()).toEqual({ jobs: 1, why: 'empty' });
  });
});

describe('an opener', () => {
  function openerOf(queue: ReturnType<typeof queueOf>, parts: Partial<LaneOpenerParts> = {}) {
    const started: number[] = [];
    const opener: LaneOpener = new LaneOpener({
      ...REF,
      rows: queue.rows,
      running: () => queue.list.jobs,
      whyUnhandled: () => null,
      async start(number) {
        started.push(number);
        void opener.serve(execution());
      },
      createLane: ({ runId }) => laneOf(queue, { runId }),
      withoutTemporal: () => null,
      log: SILENT,
      ...parts,
    });
    return { opener, started };
  }
  function execution(): LaneExecution & { tell(why: 'lost' | 'cancelled'): void } {
    let listener: (why: 'lost' | 'cancelled') => void = () => {};
    return {
      workflowId: 'w',
      runId: crypto.randomUUID(),
      info: null,
      onStop: (listen) => (listener = listen),
      tell: (why) => listener(why),
    };
  }

  it('opens a lane when it is rung for work, and the next one when that is over', async () => {
    const queue = queueOf(3);
    const { opener, started } = openerOf(queue);
    opener.start();
    opener.wake();
    await until(() => queue.waiting.length === 0);
    queue.waiting.push('later');
    opener.wake();
    await until(() => queue.waiting.length === 0);
    await opener.closed();
    expect(started.length).toBeGreaterThanOrEqual(1);
    expect(started).toEqual(started.map((_, i) => i + 1));
  });

  it('opens none without a handler, and has the rows say why they wait', async () => {
    const queue = queueOf(1);
    const { opener, started } = openerOf(queue, {
      whyUnhandled: () => ({ type: 'AsyncJobError', message: 'no handler', retryable: true }),
    });
    opener.start();
    opener.wake();
    await until(() => queue.unhandled.length > 0);
    expect(queue.unhandled).toEqual(['job-0: no handler']);
    await opener.closed();
    expect(started).toEqual([]);
  });

  it('that is closed waits for no lane that is still to come', async () => {
    const queue = queueOf(1);
    const { opener } = openerOf(queue, { start: async () => {} });
    opener.start();
    opener.wake();
    await turnOfTheLoop();
    const before = performance.now();
    await opener.closed();
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  it('that is closed waits for all lanes that run without a workflow', async () => {
    const queue = queueOf(2);
    const { begun, run } = attemptsByHand();
    const away = new AsyncJobError('temporal.unavailable', 'away');
    const lanes: Lane[] = [];
    const { opener } = openerOf(queue, {
      start: () => Promise.reject(away),
      createLane: ({ runId }) => {
        lanes.push(laneOf(queue, { runId, run, policy: { concurrency: 1, lingerMs: 20 } }));
        return lanes.at(-1)!;
      },
      withoutTemporal: execution,
    });
    opener.start();
    opener.wake();
    await until(() => begun.has('job-0'));
    lanes[0]!.close('full');
    await until(() => begun.has('job-1'));
    begun.get('job-1')!.handlerReturns();
    begun.get('job-1')!.isWritten();
    let isClosed = false;
    const closed = opener.closed().then(() => (isClosed = true));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isClosed).toBe(false);
    begun.get('job-0')!.handlerReturns();
    begun.get('job-0')!.isWritten();
    await closed;
  });

  it('has one lane that claims: another one is superfluous, unless Temporal has given the first up', async () => {
    const queue = queueOf(0);
    const { opener } = openerOf(queue, {
      createLane: ({ runId }) => laneOf(queue, { runId, policy: { concurrency: 1, lingerMs: 60_000 } }),
    });
    const given = execution();
    const first = opener.serve(given);
    expect(await opener.serve(execution())).toEqual({ jobs: 0, why: 'superfluous' });
    given.tell('lost');
    const second = opener.serve(execution());
    expect(await first).toEqual({ jobs: 0, why: 'lost' });
    await opener.closed();
    expect(await second).toEqual({ jobs: 0, why: 'shutdown' });
    expect(await opener.serve(execution())).toEqual({ jobs: 0, why: 'shutdown' });
  });

  it('runs a lane without a workflow while Temporal is away, where that is wanted', async () => {
    const queue = queueOf(2);
    const alone = execution();
    const { opener } = openerOf(queue, {
      start: async () => {
        throw new AsyncJobError('temporal.unavailable', 'away');
      },
      withoutTemporal: () => ({ ...alone, workflowId: null }),
    });
    opener.start();
    opener.wake();
    await until(() => queue.waiting.length === 0);
    await opener.closed();
    expect(queue.requests.length).toBeGreaterThan(0);
  });
});
