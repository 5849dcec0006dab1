// What crosses Temporal for a lane: many rows of one job type in one queue, run by one activity of one worker.

/** The only argument of the lane's workflow and activity. */
export interface LaneInput {
  v: 1;
  jobType: string;
  /** The name of the queue without the application's name. */
  queue: string;
  /** The task queue of the very worker that opened it. */
  workerTaskQueue: string;
}

/**
 * Why a lane took no further jobs: the queue was empty for its linger time; it ran long enough; another one of its worker
 * took its place (`lost`: Temporal had given it up; `superfluous`: that one was faster); its worker shuts down; it was
 * cancelled in Temporal.
 */
export type LaneEnd = 'empty' | 'full' | 'lost' | 'superfluous' | 'shutdown' | 'cancelled';

/** What the activity returns to the workflow, for people. */
export interface LaneReceipt {
  /** Attempts that it ran. */
  jobs: number;
  why: LaneEnd;
}

/** Which execution a lane is, and how it hears of it. */
export interface LaneExecution {
  /** `null`: it runs without a workflow. */
  workflowId: string | null;
  runId: string;
  /** The engine's own information, for `task.info`. */
  info: unknown;
  /** Calls back when Temporal has given the lane up (`lost`), or was asked to cancel it. */
  onStop(listener: (why: 'lost' | 'cancelled') => void): void;
}

/** Workflow type and activity type. */
export const LANE = 'asyncjob.lane';

export interface LaneRef {
  jobType: string;
  queue: string;
  /** The worker's id. */
  worker: string;
}

/** `name/asyncjob.lane/<queue>/<JobType>/<worker>/<n>`: no lane is started twice. */
export function laneWorkflowIdOf(applicationName: string, { jobType, queue, worker }: LaneRef, number: number): string {
  return `${prefixOf(applicationName)}${LANE}/${queue}/${jobType}/${worker}/${number}`;
}

/** The task queue that only this worker polls. */
export function laneTaskQueueOf(applicationName: string, worker: string): string {
  return `${prefixOf(applicationName)}${LANE}/${worker}`;
}

function prefixOf(applicationName: string): string {
  return applicationName === '' ? '' : `${applicationName}/`;
}
