// What an inspection finds out about an installation, as plain data: gather-facts.ts fills it in, the judges read it.
// Times are ages in milliseconds by the database's clock, or ISO text; nothing here knows levels or advice.
import type { SettingSource } from '../app/settings.ts';
import type { TemporalEngine } from '../domain/job-policy.ts';
import type { Reconciliation } from '../relay/reconcile-once.ts';

/** Why something could not be found out. */
export interface Failure {
  error: { code: string | null; message: string };
}

/** What was found, or why not; `null` when another failure came first. */
export type Found<T> = T | Failure | null;

export interface Facts {
  /** Of this library. */
  version: string;
  settings: Found<{ settings: SettingFact[] }>;
  configuration: Found<ConfigurationFacts>;
  application: Found<ApplicationFacts>;
  handlers: Found<HandlerFacts>;
  packages: PackagesFacts;
  database: Found<DatabaseFacts>;
  schema: Found<SchemaFacts>;
  registry: Found<{ workers: WorkerFact[] }>;
  jobs: Found<JobsFacts>;
  /** Open jobs that Temporal sees otherwise. */
  differences: Found<DifferencesFacts>;
  temporal: Found<TemporalFacts>;
  /** Who polls; asked for every queue that is known from anywhere. */
  polling: Found<{ queues: PolledQueue[] }>;
}

export interface SettingFact {
  name: string;
  /** As text, without secrets. */
  value: string;
  source: SettingSource | 'profile';
  /** The environment variable that gives it, or would. */
  env: string;
  /** What is remarkable about it. */
  note?: string;
}

export interface ConfigurationFacts {
  file: string;
  /** From the current folder. */
  shownAs: string;
  name: string;
  engine: string;
}

export interface ApplicationFacts {
  jobTypes: { jobType: string; queue: string; heartbeatTimeoutMs: number; engine: TemporalEngine }[];
  /** `options`: MikroORM is made by this library; `initialised`: the application gives it ready. */
  orm: 'options' | 'initialised';
  /** `null`: the driver is the application's own. */
  hasLeakGuard: boolean | null;
}

export interface HandlerFacts {
  /** Job types with a handler. */
  handled: string[];
  /** Classes that have a handler but no table. */
  withoutTable: string[];
  /** Why not all could be loaded. */
  problem: Failure | null;
}

export interface PackagesFacts {
  node: string;
  copies: PackageCopy[];
}

/** One installed copy of a package. */
export interface PackageCopy {
  name: string;
  version: string;
  folder: string;
  /** Who gets this copy when it imports the package. */
  usedBy: string[];
}

export interface DatabaseFacts {
  /** `host:port/database`. */
  where: string;
  user: string;
  version: string;
  /** A standby, or a session that may not write. */
  isReadOnly: boolean;
  answeredInMs: number;
  /** The database's clock minus this machine's. */
  clockOffsetMs: number;
}

export interface SchemaFacts {
  /** What would bring the tables up to date. */
  statements: string[];
}

export interface WorkerFact {
  id: string;
  application: string;
  host: string;
  pid: number;
  version: string;
  queues: string[];
  concurrency: number;
  /** Jobs that take one of its slots. */
  running: number;
  /** Jobs in its lanes, which have a concurrency of their own. */
  inLanes: number;
  startedMsAgo: number;
  seenMsAgo: number;
  /** How long it counts as alive after each beat. */
  ttlMs: number;
  state: 'alive' | 'dead' | 'stopped';
  /** Since its end; 0 when it lives. */
  goneForMs: number;
}

export interface JobsFacts {
  /** Of the jobs that are not settled, per job type and queue. */
  queues: OpenJobs[];
  /** STARTED, but nobody runs them; the longest first, at most `LOST_MAX`. */
  lost: LostJob[];
}

export interface OpenJobs {
  jobType: string;
  queue: string;
  started: number;
  /** PENDING and due: only a worker is missing. */
  due: number;
  oldestDueMs: number | null;
  /** PENDING with a time in the future: delayed, or between two attempts. */
  later: number;
  /** Committed, but unknown to Temporal. */
  undispatched: number;
  oldestUndispatchedMs: number | null;
  /** PENDING, and no worker that took them has a handler. */
  handlerMissing: number;
  oldestHandlerMissingMs: number | null;
  /** STARTED in a lane for longer than such jobs should take. */
  longInLane: number;
  longestInLaneMs: number | null;
}

export interface LostJob {
  jobType: string;
  id: string;
  attempt: number;
  holder: string;
  startedMsAgo: number;
  /** `null`: its worker lives, but does not run it (or has no row any more). */
  holderGoneForMs: number | null;
  why: 'worker died' | 'worker ended' | 'worker unknown' | 'not run by its worker';
}

export interface DifferencesFacts extends Reconciliation {
  /** Whether they were to be repaired. */
  repair: boolean;
}

export interface TemporalFacts {
  address: string;
  namespace: string;
  serverVersion: string;
  retentionMs: number | null;
  answeredInMs: number;
  /** Whether it has what `engine: 'activity'` needs. */
  standaloneActivities: boolean;
}

export interface PolledQueue {
  queue: string;
  taskQueue: string;
  pollers: Poller[];
}

export interface Poller {
  identity: string;
  lastAccessMsAgo: number;
}

export function isFailure(found: unknown): found is Failure {
  return typeof found === 'object' && found !== null && 'error' in found;
}

/** What was found out; `undefined` when it was not. */
export function known<T extends object>(found: Found<T>): T | undefined {
  return found === null || isFailure(found) ? undefined : (found as T);
}
