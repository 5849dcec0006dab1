// A job's columns are properties like any other, and what MikroORM or people define beside them stays.
import { defineEntity } from '@mikro-orm/core';
import { MikroORM } from '@mikro-orm/postgresql';
import { describe, expect, it } from 'vitest';
import { makeColumnsPlain } from '../../../src/entity/plain-columns.ts';
import { asyncJob, jobs, p } from '../../../src/index.ts';

const OwnerSchema = defineEntity({
  name: 'Owner',
  properties: { id: p.integer().primary(), letters: () => p.oneToMany(Letter).mappedBy('owner') },
});
class Owner extends OwnerSchema.class {}
OwnerSchema.setClass(Owner);
class Letter extends asyncJob('Letter', {
  text: p.text().default(''),
  owner: () => p.manyToOne(Owner).inversedBy('letters').nullable(),
}) {
  get length(): number {
    return (this.text ?? '').length;
  }
  set length(length: number) {
    this.text = '.'.repeat(length);
  }
}

async function emptyOrm(): Promise<MikroORM> {
  const orm = await MikroORM.init({ entities: [Owner, ...jobs(Letter)], dbName: 'none', connect: false } as never);
  makeColumnsPlain(orm.getMetadata().get(Letter as never));
  return orm as MikroORM;
}

const kindOf = (entity: object, name: string) => (Object.getOwnPropertyDescriptor(entity, name)?.get ? 'accessor' : 'value');

describe('the columns of a job', () => {
  it('are plain properties, of a new job as of one that was read', async () => {
    const em = (await emptyOrm()).em.fork();
    const created = em.create(Letter, { text: 'a' } as never);
    const read = em.map(Letter as never, { id: '0192d3c8-7a3e-7c3a-9d5e-0a1b2c3d4e5f', status: 'NEW', text: 'b' } as never) as Letter;
    for (const job of [created, read]) {
      expect(kindOf(job, 'text')).toBe('value');
      expect(Object.keys(job)).toContain('text');
    }
    expect(kindOf(read, 'status')).toBe('value');
  });

  it('are still compared with the row', async () => {
    const em = (await emptyOrm()).em.fork();
    const job = em.map(Letter as never, { id: '0192d3c8-7a3e-7c3a-9d5e-0a1b2c3d4e5f', status: 'NEW', text: 'b' } as never) as Letter;
    job.text = 'c';
    em.getUnitOfWork().computeChangeSets();
    expect(em.getUnitOfWork().getChangeSets()).toMatchObject([{ payload: { text: 'c' } }]);
  });

  it('leave relations in charge of both sides', async () => {
    const em = (await emptyOrm()).em.fork();
    const owner = em.create(Owner, { id: 1 } as never);
    const job = em.create(Letter, { owner } as never);
    expect([...owner.letters]).toEqual([job]);
  });

  it('leave the class its own accessors', async () => {
    const em = (await emptyOrm()).em.fork();
    const job = em.create(Letter, {} as never);
    job.length = 3;
    expect(job).toMatchObject({ text: '...', length: 3 });
  });
});
