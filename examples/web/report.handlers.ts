import { setTimeout as pause } from 'node:timers/promises';
import { Report, type Customer } from './jobs.ts';

Report.handler(
  async (task, job) => {
    for (let page = 1; page <= job.pages; page++) {
      await pause(20, undefined, { signal: task.signal });
      task.progress({ current: page, total: job.pages });
    }
    return { title: `${job.pages} pages for ${(job.customer as Customer).name}` };
  },
  { populate: ['customer'] },
);
