// The application, as `asyncjob worker` and demo.ts open it. DATABASE_URL and TEMPORAL_ADDRESS say where its servers are.
import { defineConfig, jobs } from 'asyncjob';
import { HashFolder, RenderReport } from './jobs.ts';
import { Sale } from './sale.ts';

export default defineConfig({
  name: 'demo',
  orm: { entities: [Sale, ...jobs(HashFolder, RenderReport)] },
});
