import { createHash } from 'node:crypto';
import { asyncJob, p } from 'asyncjob';

/** Keeps a processor busy for a fixed amount of work. */
export class Compute extends asyncJob('Compute', { hashes: p.integer(), digest: p.text().nullable() }) {}

Compute.handler((_task, job) => {
  let digest = Buffer.alloc(32);
  for (let i = 0; i < job.hashes; i++) digest = createHash('sha256').update(digest).digest();
  job.digest = digest.toString('hex');
});
