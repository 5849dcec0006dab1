// At once, by the harness of the peers' benchmark: the same application, payload and servers for this library and for others.
import type { Described } from '../report/described.ts';
import { THROUGHPUT } from '../scenarios/scenario.ts';

export const PEERS: Described = {
  title: 'Beside other libraries',
  what:
    '50 enqueue calls are always under way while one warm worker process runs, concurrency 50, about 200 bytes of payload; each ' +
    'library keeps a row in PostgreSQL for its jobs and writes every change of status to it.',
  columns: [
    THROUGHPUT[0]!,
    { key: 'enqueuePerS', label: 'enqueue/s' },
    THROUGHPUT[1]!,
    { key: 'cpuMsPerJob.producer', label: 'producer' },
    ...THROUGHPUT.slice(2),
    { key: 'cpuMsPerJob.redis', label: 'Redis' },
    { key: 'workerPeakMb', label: 'worker peak MB' },
  ],
  pictures: [],
};
