// Names by which a job is known outside of its row.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseWorkflowId, taskQueueOf, workflowIdOf } from '../../../src/domain/identity.ts';

const ID = '0192d3c8-7a3e-7c3a-9d5e-0a1b2c3d4e5f';

describe('workflow ids', () => {
  it('name job type, id and run', () => {
    expect(workflowIdOf('SendInvoice', ID, 3)).toBe(`SendInvoice/${ID}/3`);
  });

  it('are read back as they were written, whatever the job type', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.uuid(), fc.nat(), (jobType, id, run) => {
        expect(parseWorkflowId(workflowIdOf(jobType, id, run))).toEqual({ jobType, id, run });
      }),
    );
  });

  it('tell runs and jobs apart', () => {
    const part = fc.record({ jobType: fc.string({ minLength: 1 }), id: fc.uuid(), run: fc.nat(5) });
    fc.assert(
      fc.property(part, part, (a, b) => {
        const same = a.jobType === b.jobType && a.id === b.id && a.run === b.run;
        expect(workflowIdOf(a.jobType, a.id, a.run) === workflowIdOf(b.jobType, b.id, b.run)).toBe(same);
      }),
    );
  });

  it.each([
    ['no job type', `/${ID}/1`],
    ['no run', `SendInvoice/${ID}`],
    ['a run that is no number', `SendInvoice/${ID}/x`],
    ['a negative run', `SendInvoice/${ID}/-1`],
    ['no uuid', 'SendInvoice/7/1'],
    ['something behind it', `SendInvoice/${ID}/1/2`],
    ['nothing', ''],
  ])('of others are not taken for ours: %s', (_what, workflowId) => {
    expect(parseWorkflowId(workflowId)).toBeNull();
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
