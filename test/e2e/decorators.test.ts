// Job classes with MikroORM's decorators, as a project writes them, compiles them with tsc and runs what came out: with
// ES decorators, and with TypeScript's legacy ones.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../support/servers.ts';
import { consumerProject, type ConsumerProject } from './support/consumer-project.ts';

const STYLES = [
  ['ES', {}],
  ['legacy', { experimentalDecorators: true }],
] as const;

// Its short name stands for one that a minifier left.
const classes = (style: string) => `
import { Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/${style}';
import { AsyncJob, type JobOptions } from 'asyncjob';
import type { Opt } from '@mikro-orm/core';

@Entity()
export class Customer {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'text' })
  name!: string;
}

@Entity({ tableName: 'thumbnail' })
export class T extends AsyncJob {
  static override jobType = 'Thumbnail';
  static override defaultQueue = 'media';
  static override options: JobOptions = { retry: { maximumAttempts: 2, initialInterval: '1ms' } };

  @Property({ type: 'text', nullable: true })
  source?: string | null;

  @Property({ type: 'integer', default: 128 })
  width: Opt<number> = 128;

  @Property({ type: 'text', nullable: true })
  path?: string | null;

  @ManyToOne(() => Customer, { nullable: true })
  owner?: Customer | null;

  declare output?: { bytes: number } | null;

  get isLarge(): boolean {
    return this.width > 1_000;
  }
}

@Entity()
export class Plain extends AsyncJob {
  @Property({ type: 'integer' })
  amount!: number;
}
`;

const handlers = `
import { T } from './classes.js';

let failed = false;
T.handler(
  async (task, job) => {
    if (!failed) {
      failed = true;
      throw new Error('the first time');
    }
    task.progress(0.5);
    job.path = \`/\${job.owner?.name}/\${job.source}\`;
    return { bytes: job.width };
  },
  { populate: ['owner'] },
);
`;

const main = `
import { defineConfig as ormConfig } from '@mikro-orm/postgresql';
import { AsyncJobs, AsyncJobView, jobs } from 'asyncjob';
import { Customer, Plain, T } from './classes.js';
import './handlers.js';

await using app = await AsyncJobs.connect({
  engine: 'inline',
  orm: ormConfig({ clientUrl: process.env['DATABASE_URL']!, entities: [Customer, ...jobs(T, Plain)] }),
});
await app.orm.schema.create();
const em = app.orm.em.fork();
const customer = em.create(Customer, { name: 'ada' });
await em.flush();

const created = await T.create({ source: 'a.png', owner: customer }, { em });
const before = { status: created.status, queue: created.queue, width: created.width, isLarge: created.isLarge };
await created.enqueue();
const plain = await Plain.create({ amount: 7 });
const [id] = await T.enqueueMany([{ source: 'b.png', width: 2_000 }]);
const read = await T.get(id!);
created.path = 'saved';
await created.save();
console.log(
  JSON.stringify({
    before,
    after: { status: created.status, attempt: created.attempt, failures: created.failures, output: created.output, progress: created.progress },
    saved: (await T.find({ path: 'saved' }, { populate: ['owner'] })).map(({ id, owner }) => [id === created.id, owner?.name]),
    read: [read?.status, read?.path, read?.isLarge, read instanceof T],
    plain: [plain.status, plain.queue, plain.amount],
    types: (await em.fork().find(AsyncJobView, {}, { orderBy: { jobType: 'asc' } })).map(({ jobType }) => jobType),
    history: await em.execute('select job_type, outcome from async_job_attempt'),
    inserted: [
      await em.execute("insert into thumbnail (status) values ('PENDING') returning queue"),
      await em.execute("insert into plain (status, amount) values ('PENDING', 1) returning queue"),
    ],
    migration: await app.orm.schema.getUpdateSchemaSQL(),
  }),
);
`;

describe.each(STYLES)('a class with %s decorators', (style, options) => {
  let project: ConsumerProject;
  let database: FreshDatabase;
  beforeAll(async () => {
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2024', 'esnext.disposable'],
      module: 'nodenext',
      rootDir: 'src',
      outDir: 'out',
      strict: true,
      skipLibCheck: true,
      noImplicitOverride: true,
      types: ['node'],
      ...options,
    };
    project = await consumerProject(
      {
        'src/classes.ts': classes(style.toLowerCase()),
        'src/handlers.ts': handlers,
        'src/main.ts': main,
        'tsconfig.json': JSON.stringify({ compilerOptions, include: ['src'] }),
      },
      ['@mikro-orm/decorators', '@types/node'],
    );
    database = await freshDatabase();
  });
  afterAll(async () => {
    await database?.drop();
    await project?.[Symbol.asyncDispose]();
  });

  it('compiles without an error', async () => {
    expect(await project.check('typescript')).toEqual([]);
  });

  it('is a job like any other: created, enqueued, retried, saved, listed, and in the queue of its class even by SQL', async () => {
    const seen = JSON.parse(await project.run('out/main.js', { DATABASE_URL: database.url, ASYNCJOB_LOG_LEVEL: 'silent' })) as unknown;
    expect(seen).toEqual({
      before: { status: 'NEW', queue: 'media', width: 128, isLarge: false },
      after: { status: 'SUCCESS', attempt: 2, failures: 1, output: { bytes: 128 }, progress: 1 },
      saved: [[true, 'ada']],
      read: ['SUCCESS', '/undefined/b.png', true, true],
      plain: ['NEW', 'default', 7],
      types: ['Plain', 'Thumbnail', 'Thumbnail'],
      history: [{ job_type: 'Thumbnail', outcome: 'failed' }],
      inserted: [[{ queue: 'media' }], [{ queue: 'default' }]],
      migration: '',
    });
  });
});
