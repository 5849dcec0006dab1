// The job classes: what a job is given, what it leaves behind, on which queue it runs and how it is tried again.
import { asyncJob, p, type JobOptions } from 'asyncjob';

/** Reads every file below a folder into one digest. */
export class HashFolder extends asyncJob('HashFolder', {
  folder: p.text(),
  /** Leaves the disk to others. */
  megabytesPerSecond: p.integer().nullable(),

  fileCount: p.integer().nullable(),
  byteCount: p.bigint('number').nullable(),
  digest: p.string().length(64).nullable(),
}) {
  static override defaultQueue = 'files';
}

/** Renders a year's sales into an HTML file. */
export class RenderReport extends asyncJob('RenderReport', {
  year: p.integer(),

  /** Path of the file. */
  result: p.text().nullable(),
}) {
  static override defaultQueue = 'reports';
  static override options: JobOptions = { retry: { maximumAttempts: 3, initialInterval: '4 seconds' } };
}
