import { AsyncJobs } from 'asyncjob';
import config from './asyncjob.config.js';
import { SendMail } from './send-mail.js';

await using app = await AsyncJobs.connect(config);
await app.orm.schema.update({ safe: true });

const job = await SendMail.enqueue({ recipient: 'ada@example.com', subject: 'Hello' });
await job.wait({ timeout: '1 minute' });
console.log(job.status, job.sent);
