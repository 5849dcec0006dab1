// The web process: enqueues within its own transactions, shows and revokes. It never loads Temporal's native core.
import { RequestContext } from '@mikro-orm/core';
import { AsyncJobs } from 'asyncjob';
import Fastify from 'fastify';
import config from './asyncjob.config.ts';
import { Customer, Report } from './jobs.ts';

const app = await AsyncJobs.connect(config);
await app.orm.schema.update({ safe: true }); // for a first try; an application has migrations

const server = Fastify();
server.addHook('onRequest', (_request, _reply, done) => RequestContext.create(app.orm.em, done));

// The customer and the job are committed together, or not at all.
server.post<{ Body: { name: string; pages?: number } }>('/reports', (request) =>
  app.orm.em.transactional(async (em) => {
    const customer = em.create(Customer, { name: request.body.name });
    await em.flush();
    if (request.body.name === 'nobody') throw Object.assign(new Error('there is nobody'), { statusCode: 422 });
    const job = await Report.enqueue({ customer, ...(request.body.pages ? { pages: request.body.pages } : {}) });
    return { id: job.id, status: job.status };
  }),
);

server.get<{ Params: { id: string } }>('/reports/:id', async (request, reply) => {
  const job = await Report.get(request.params.id);
  if (!job) return reply.code(404).send({ error: 'no such report' });
  const { id, status, progress, output, errorMessage } = job;
  return { id, status, progress, output, errorMessage };
});

server.delete<{ Params: { id: string } }>('/reports/:id', async (request, reply) => {
  const job = await Report.get(request.params.id);
  if (!job) return reply.code(404).send({ error: 'no such report' });
  return { id: job.id, status: await job.revoke({ by: 'web', reason: 'deleted' }) };
});

const address = await server.listen({ host: '127.0.0.1', port: Number(process.env['PORT'] ?? 3000) });
console.log(`listening on ${address}`);

process.once('SIGTERM', async () => {
  await server.close();
  await app.close();
});
