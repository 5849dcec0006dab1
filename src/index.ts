// The door of applications: job classes, the configuration, the application object. It never loads the native Temporal core.
export { p } from '@mikro-orm/core';
export { AsyncJobs, type ConnectOptions, type PluginOptions, type WorkerOptions } from './app/async-jobs.ts';
export { defineConfig, type Config } from './app/config.ts';
export { AttemptStopped, type StopReason } from './domain/attempt.ts';
export { AsyncJobError, GiveUp, RetryAfter, type ErrorCode, type ErrorRecord } from './domain/errors.ts';
export { STATUSES, type Status } from './domain/lifecycle.ts';
export type { ReconcileOptions } from './relay/reconcile-once.ts';
export type { Difference } from './relay/reconciler.ts';
export { AsyncJob, type RevokeOptions } from './entity/async-job.ts';
export { AsyncJobAttempt } from './entity/async-job-attempt.ts';
export { AsyncJobView } from './entity/async-job-view.ts';
export { AsyncJobWorker } from './entity/async-job-worker.ts';
export type { BoundJob } from './entity/application.ts';
export type { Duration } from './entity/duration.ts';
export { AsyncJobSchema } from './entity/base-schema.ts';
export { asyncJob, jobs, type JobBase, type JobStorage } from './entity/job-class.ts';
export type { JobOptions } from './entity/job-options.ts';
export type { EnqueueOptions, JobClass, JobHandler, JobInput, Task, WaitOptions, Within } from './entity/job-types.ts';
