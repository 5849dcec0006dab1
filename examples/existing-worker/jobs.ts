import { asyncJob, p } from 'asyncjob';

export class Shout extends asyncJob('Shout', { text: p.text(), loud: p.text().nullable() }) {
  static override defaultQueue = 'everything'; // the task queue of the worker
}

Shout.handler((_task, job) => {
  job.loud = job.text.toUpperCase();
});
