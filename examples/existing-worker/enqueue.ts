// A job and a workflow of one's own on the same task queue.
import { AsyncJobs } from 'asyncjob';
import config from './asyncjob.config.ts';
import { Shout } from './jobs.ts';

await using app = await AsyncJobs.connect(config);
await app.orm.schema.update({ safe: true });

const job = await Shout.enqueue({ text: 'hello' });
const greeting = await app.temporal.workflow.execute('greeting', {
  workflowId: `greeting-${job.id}`,
  taskQueue: 'everything',
  args: ['Ada'],
});
await job.wait({ timeout: '1 minute' });
console.log(job.status, job.loud, '/', greeting);
