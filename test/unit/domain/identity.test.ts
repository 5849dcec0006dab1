// Names by which a job is known outside of its row.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseWorkflowId, taskQueueOf, workflowIdOf } from '../../../src/domain/identity.ts';

const ID = '0192d3c8-7a3e-7c3a-9d5e-0a1b2c3d4e5f';

describe('workflow ids', () => {
  it('name application, job type, id and run', () => {
    expect(workflowIdOf('shop', { jobType: 'SendInvoice', id: ID, run: 3 })).toBe(`shop/SendInvoice/${ID}/3`);
    expect(workflowIdOf('', { jobType: 'SendInvoice', id: ID, run: 3 })).toBe(`SendInvoice/${ID}/3`);
  });

  const application = fc.constantFrom('', 'shop', 'shop-2');
  const ref = fc.record({ jobType: fc.string({ minLength: 1 }).filter((name) => !name.includes('/')), id: fc.uuid(), run: fc.nat(5) });

  it('are read back as they were written, whatever the job type', () => {
    fc.assert(
      fc.property(application, ref, (name, run) => {
        expect(parseWorkflowId(name, workflowIdOf(name, run))).toEqual({ ...run });
      }),
    );
  });

  it('tell applications, jobs and runs apart', () => {
    fc.assert(
      fc.property(application, ref, application, ref, (nameA, a, nameB, b) => {
        const same = nameA === nameB && a.jobType === b.jobType && a.id === b.id && a.run === b.run;
        expect(workflowIdOf(nameA, a) === workflowIdOf(nameB, b)).toBe(same);
      }),
    );
  });

  it.each([
    ['no job type', `/${ID}/1`],
    ['another application', `SendInvoices/x/${ID}`],
    ['no run', `SendInvoice/${ID}`],
    ['a run that is no number', `SendInvoice/${ID}/x`],
    ['a negative run', `SendInvoice/${ID}/-1`],
    ['no uuid', 'SendInvoice/7/1'],
    ['something behind it', `SendInvoice/${ID}/1/2`],
    ['nothing', ''],
  ])('of others are not taken for ours: %s', (_what, workflowId) => {
    expect(parseWorkflowId('', workflowId)).toBeNull();
    expect(parseWorkflowId('shop', workflowId)).toBeNull();
  });
});

describe('task queues', () => {
  it('carry the name of the application', () => {
    expect(taskQueueOf('shop', 'billing')).toBe('shop/billing');
  });

  it('are the queue itself for an application without a name', () => {
    expect(taskQueueOf('', 'billing')).toBe('billing');
  });
});
