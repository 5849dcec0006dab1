import { asyncJob, jobs, p } from 'asyncjob';

export class Import extends asyncJob('Import', {
  url: p.text(),
  rows: p.integer().nullable(),
}) {
  static override defaultQueue = 'imports';
}

export const entities = jobs(Import);
