// What happens in the demo: which jobs are created, what is done to them from outside, and how each has to end.
import type { AsyncJob, AsyncJobs, AsyncJobView } from 'asyncjob';
import { importSales } from './sale.ts';
import { HashFolder, RenderReport } from './jobs.ts';

export interface PlannedJob {
  job: AsyncJob;
  /** What it is about, in a word. */
  subject: string;
  /** How its row has to end: values, or patterns of values. */
  row: Record<string, unknown>;
  /** How its workflow has to end. */
  workflow: 'COMPLETED' | 'FAILED' | 'CANCELLED';
}

export interface Intervention {
  /** The job whose row is looked at. */
  job: AsyncJob;
  when(row: AsyncJobView): boolean;
  what: string;
  act(): Promise<unknown>;
}

export interface Plan {
  jobs: PlannedJob[];
  interventions: Intervention[];
}

export async function createJobs(app: AsyncJobs): Promise<Plan> {
  const hashed = { status: 'SUCCESS', attempt: 1, fileCount: /^\d+$/, byteCount: /^\d+$/, digest: /^[0-9a-f]{64}$/ };
  const rendered = { status: 'SUCCESS', attempt: 1, failures: 0, result: /sales-\d+\.html$/ };

  const small = await HashFolder.create({ folder: 'node_modules/@mikro-orm' });
  const large = await HashFolder.create({ folder: 'node_modules/@temporalio', megabytesPerSecond: 40 });
  const huge = await HashFolder.create({ folder: 'node_modules', megabytesPerSecond: 20 });
  const missing = await HashFolder.create({ folder: 'no-such-folder' });
  const complete = await RenderReport.create({ year: 2024 });
  const incomplete = await RenderReport.create({ year: 2025 });

  return {
    jobs: [
      { job: small, subject: '@mikro-orm', row: hashed, workflow: 'COMPLETED' },
      { job: large, subject: '@temporalio', row: hashed, workflow: 'COMPLETED' },
      { job: huge, subject: 'node_modules', row: { status: 'REVOKED', revokedBy: 'demo', digest: null }, workflow: 'CANCELLED' },
      { job: missing, subject: 'no-such-folder', row: { status: 'FAILURE', errorMessage: /^Error: ENOENT/ }, workflow: 'FAILED' },
      { job: complete, subject: '2024', row: rendered, workflow: 'COMPLETED' },
      { job: incomplete, subject: '2025', row: { ...rendered, attempt: 2, failures: 1 }, workflow: 'COMPLETED' },
    ],
    interventions: [
      {
        job: incomplete,
        when: ({ status, attempt }) => status === 'PENDING' && attempt === 1,
        what: 'RenderReport 2025 has failed, because the sales of December are missing: importing them now',
        act: () => importSales(app.orm.em, '2025-12-01', '2025-12-31'),
      },
      {
        job: huge,
        when: ({ status, progress }) => status === 'STARTED' && (progress ?? 0) > 0.05,
        what: 'HashFolder node_modules takes too long: revoking it',
        act: () => huge.revoke({ reason: 'takes too long', by: 'demo' }),
      },
    ],
  };
}
