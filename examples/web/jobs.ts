// An entity of the application, and a job that belongs to it.
import { defineEntity } from '@mikro-orm/core';
import { asyncJob, p, type JobOptions } from 'asyncjob';

const CustomerSchema = defineEntity({
  name: 'Customer',
  properties: { id: p.integer().primary(), name: p.text() },
});
export class Customer extends CustomerSchema.class {}
CustomerSchema.setClass(Customer);

export class Report extends asyncJob('Report', {
  customer: () => p.manyToOne(Customer),
  pages: p.integer().default(3),
}) {
  static override defaultQueue = 'reports';
  static override options: JobOptions = { retry: { maximumAttempts: 3 }, runTimeout: '5 minutes' };
  declare output?: { title: string } | null;
}
