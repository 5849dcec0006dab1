import { SendMail } from './send-mail.js';

SendMail.handler((_task, job) => {
  job.sent = `"${job.subject}" to ${job.recipient}`;
});
