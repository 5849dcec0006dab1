// The worker registry: one row per worker process, renewed every few seconds. It answers who is alive and what it
// runs, also while Temporal is away.
import { EntitySchema, type Opt } from '@mikro-orm/core';
import { withFixedNames } from './fixed-names.ts';

export class AsyncJobWorker {
  declare id: string;
  declare application: string;
  declare host: string;
  declare pid: number;
  declare version: string;
  declare queues: string[];
  declare concurrency: number;
  declare startedAt: Opt<Date>;
  declare seenAt: Opt<Date>;
  /** Until when it counts as alive, by the database's clock. */
  declare expiresAt: Date;
  /** Since when it has been alive without a gap: after an outage of PostgreSQL everybody's row looks expired. */
  declare aliveSince: Opt<Date>;
  /** +1 at each renewal. */
  declare beat: Opt<number>;
  /** Ids of the jobs it runs now. */
  declare jobs: Opt<string[]>;
  /** What it compares with Temporal as the one worker that does (src/mirror/open-runs.ts), and until when nobody else does. */
  declare reconciles?: string | null;
  declare reconcilesUntil?: Date | null;
  /** Set at an orderly end. */
  declare stoppedAt?: Date | null;
}

const timestamp = { type: 'datetime', columnType: 'timestamptz(3)', length: 3 } as const;

export const WorkerSchema = new EntitySchema<AsyncJobWorker>({
  class: AsyncJobWorker,
  tableName: 'async_job_worker',
  properties: withFixedNames({
    id: { type: 'text', primary: true },
    application: { type: 'text' },
    host: { type: 'text' },
    pid: { type: 'integer' },
    version: { type: 'text' },
    queues: { type: 'json' },
    concurrency: { type: 'integer' },
    startedAt: { ...timestamp, defaultRaw: 'now()' },
    seenAt: { ...timestamp, defaultRaw: 'now()' },
    expiresAt: timestamp,
    aliveSince: { ...timestamp, defaultRaw: 'now()' },
    beat: { type: 'integer', default: 0 },
    jobs: { type: 'json', defaultRaw: `'[]'::jsonb` },
    reconciles: { type: 'text', nullable: true },
    reconcilesUntil: { ...timestamp, nullable: true },
    stoppedAt: { ...timestamp, nullable: true },
  }) as never,
});
