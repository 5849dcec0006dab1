// #region handlers
import { setTimeout as pause } from 'node:timers/promises';
import { MyJob } from './my-job.ts';

MyJob.handler(async (task, job) => {
  const steps = job.myField ?? 3;
  for (let step = 1; step <= steps; step++) {
    await pause(50, undefined, { signal: task.signal }); // the real work; stops when the job is revoked
    task.progress({ current: step, total: steps }, `step ${step}`);
  }
  job.result = `${steps} steps done`; // own columns are saved with SUCCESS, in one statement
});
// #endregion
