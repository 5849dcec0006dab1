// A table of the application's own, which knows nothing of jobs.
import { defineEntity, p } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';

const SaleSchema = defineEntity({
  name: 'Sale',
  properties: {
    id: p.integer().primary(),
    soldOn: p.date().index(),
    region: p.text(),
    cents: p.integer(),
  },
});

export class Sale extends SaleSchema.class {}
SaleSchema.setClass(Sale);

/** Makes up about a hundred sales for each day from `first` to `last`, both included; the same ones each time. */
export async function importSales(em: EntityManager, first: string, last: string): Promise<void> {
  await em.execute(
    `insert into sale (sold_on, region, cents)
     select day, (array['North', 'East', 'South', 'West'])[1 + n % 4],
            1000 + (n * 7919 + extract(doy from day)::int * 104729) % 9000 + 2000 * (n % 4)
     from generate_series(?::date, ?::date, '1 day') day,
          generate_series(1, 80 + extract(month from day)::int * 13 % 40) n`,
    [first, last],
  );
}
