// The attempt history: one row for every attempt that did not simply succeed, so that it survives Temporal's retention.
import { EntitySchema, type Opt } from '@mikro-orm/core';
import type { ErrorRecord } from '../domain/errors.ts';
import { withFixedNames } from './fixed-names.ts';

/** How an attempt ended that did not simply succeed. */
export const ATTEMPT_OUTCOMES = ['failed', 'time_limit', 'crashed', 'handed_back', 'lost', 'revoked'] as const;
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number];

export class AsyncJobAttempt {
  declare id: Opt<string>;
  declare jobType: string;
  declare jobId: string;
  declare run: number;
  declare attempt: number;
  declare outcome: AttemptOutcome;
  declare workerId?: string | null;
  declare startedAt?: Date | null;
  declare endedAt: Opt<Date>;
  /** `Type: message`. */
  declare errorMessage?: string | null;
  declare error?: ErrorRecord | null;
}

export const AttemptSchema = new EntitySchema<AsyncJobAttempt>({
  class: AsyncJobAttempt,
  tableName: 'async_job_attempt',
  properties: withFixedNames({
    id: { type: 'bigint', primary: true, autoincrement: true },
    jobType: { type: 'text' },
    jobId: { type: 'uuid' },
    run: { type: 'integer' },
    attempt: { type: 'integer' },
    // No CHECK: a later version may know another outcome, and workers of both write here during a deployment.
    outcome: { type: 'text' },
    workerId: { type: 'text', nullable: true },
    startedAt: { type: 'datetime', columnType: 'timestamptz(3)', length: 3, nullable: true },
    endedAt: { type: 'datetime', columnType: 'timestamptz(3)', length: 3, defaultRaw: 'now()' },
    errorMessage: { type: 'text', nullable: true },
    error: { type: 'json', nullable: true },
  }) as never,
  indexes: [{ properties: ['jobId'] }, { properties: ['endedAt'] }],
});
