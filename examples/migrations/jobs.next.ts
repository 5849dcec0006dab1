// jobs.ts of the next release: a column more, and a job class more.
import { asyncJob, jobs, p } from 'asyncjob';

export class Import extends asyncJob('Import', {
  url: p.text(),
  rows: p.integer().nullable(),
  encoding: p.text().nullable(),
}) {
  static override defaultQueue = 'imports';
}

export class Cleanup extends asyncJob('Cleanup', { olderThanDays: p.integer().default(30) }) {}

export const entities = jobs(Import, Cleanup);
