// #region main
import { AsyncJobs } from 'asyncjob';
import config from './asyncjob.config.ts';
import { MyJob } from './jobs/my-job.ts';

await using app = await AsyncJobs.connect(config);
await app.orm.schema.update(); // for a first try; an application has migrations

const job = await MyJob.create({ myField: 4 }); // status NEW
await job.enqueue(); // PENDING, and a workflow started
console.log(job.status, job.id);

await job.wait({ timeout: '1 minute' });
console.log(job.status, job.result); // SUCCESS 4 steps done
// #endregion
