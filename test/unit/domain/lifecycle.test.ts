// The lifecycle table, against its copy in the design and against what must hold for every walk through it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isSettled,
  MOVES,
  OPEN_STATUSES,
  SETTLED_STATUSES,
  STATUSES,
  statusAfter,
  statusesBefore,
  type JobEvent,
  type Status,
} from '../../../src/domain/lifecycle.ts';

// Status → event → where it leads. Written out a second time, so that a change of the lifecycle is a decision.
const DESIGNED: Record<Status, Partial<Record<JobEvent, Status>>> = {
  NEW: { enqueued: 'PENDING', revoked: 'REVOKED' },
  PENDING: { started: 'STARTED', handedBack: 'PENDING', failed: 'FAILURE', revoked: 'REVOKED' },
  STARTED: {
    started: 'STARTED',
    attemptFailed: 'PENDING',
    handedBack: 'PENDING',
    succeeded: 'SUCCESS',
    failed: 'FAILURE',
    revoked: 'REVOKED',
  },
  SUCCESS: {},
  FAILURE: { retried: 'PENDING' },
  REVOKED: { retried: 'PENDING' },
};
const EVENTS = Object.keys(MOVES) as JobEvent[];
const CELLS = STATUSES.flatMap((status) => EVENTS.map((event) => [status, event, DESIGNED[status][event] ?? null] as const));

const anyStatus = fc.constantFrom(...STATUSES);
const anyEvent = fc.constantFrom(...EVENTS);
const anyWalk = fc.array(anyEvent, { maxLength: 30 });

/** Every status on the way, the first included; refused events leave it where it is. */
function walk(from: Status, events: readonly JobEvent[]): Status[] {
  const way = [from];
  for (const event of events) way.push(statusAfter(way.at(-1)!, event) ?? way.at(-1)!);
  return way;
}

function reachableFrom(from: Status): Set<Status> {
  const reached = new Set<Status>([from]);
  for (const status of reached) {
    for (const event of EVENTS) {
      const next = statusAfter(status, event);
      if (next && event !== 'retried') reached.add(next);
    }
  }
  return reached;
}

describe('the lifecycle', () => {
  it('has exactly these statuses and events', () => {
    expect(STATUSES).toEqual(['NEW', 'PENDING', 'STARTED', 'SUCCESS', 'FAILURE', 'REVOKED']);
    expect(EVENTS).toEqual(['enqueued', 'started', 'attemptFailed', 'handedBack', 'succeeded', 'failed', 'revoked', 'retried']);
  });

  it.each(CELLS)('leads from %s by %s to %s', (status, event, expected) => {
    expect(statusAfter(status, event)).toBe(expected);
    expect(statusesBefore(event).includes(status)).toBe(expected !== null);
  });

  it('derives what is open and what is settled; NEW is neither', () => {
    expect(OPEN_STATUSES).toEqual(['PENDING', 'STARTED']);
    expect(SETTLED_STATUSES).toEqual(['SUCCESS', 'FAILURE', 'REVOKED']);
    expect(STATUSES.filter((status) => !OPEN_STATUSES.includes(status) && !isSettled(status))).toEqual(['NEW']);
  });

  it('lists the statuses that an event leaves in the order of the lifecycle', () => {
    expect(statusesBefore('revoked')).toEqual(['NEW', 'PENDING', 'STARTED']);
    expect(statusesBefore('retried')).toEqual(['FAILURE', 'REVOKED']);
  });

  it('lets nothing but a retry leave a settled status', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SETTLED_STATUSES), anyWalk, (settled, events) => {
        const way = walk(
          settled,
          events.filter((event) => event !== 'retried'),
        );
        expect(new Set(way)).toEqual(new Set([settled]));
      }),
    );
  });

  it('never takes SUCCESS back', () => {
    fc.assert(
      fc.property(anyWalk, (events) => {
        expect(new Set(walk('SUCCESS', events))).toEqual(new Set(['SUCCESS']));
      }),
    );
  });

  it('never leads back to NEW', () => {
    fc.assert(
      fc.property(anyWalk, (events) => {
        const way = walk('NEW', events);
        const left = way.findIndex((status) => status !== 'NEW');
        expect(left < 0 ? [] : way.slice(left)).not.toContain('NEW');
      }),
    );
  });

  it('reaches every end from every status that is not settled, without a retry', () => {
    fc.assert(
      fc.property(anyStatus, anyWalk, (from, events) => {
        const status = walk(from, events).at(-1)!;
        fc.pre(!isSettled(status));
        expect([...reachableFrom(status)]).toEqual(expect.arrayContaining([...SETTLED_STATUSES]));
      }),
    );
  });

  it('settles only by an event that says how it ended', () => {
    const ends = CELLS.filter(([status, , next]) => next && isSettled(next) && !isSettled(status)).map(([, event, next]) => [event, next]);
    expect(Object.fromEntries(ends)).toEqual({ succeeded: 'SUCCESS', failed: 'FAILURE', revoked: 'REVOKED' });
  });

  it('starts nothing that was neither enqueued nor retried', () => {
    fc.assert(
      fc.property(anyWalk, (events) => {
        const others = events.filter((event) => event !== 'enqueued' && event !== 'retried');
        expect(walk('NEW', others)).not.toContain('STARTED');
      }),
    );
  });
});
