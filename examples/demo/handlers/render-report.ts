import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RenderReport } from '../jobs.ts';
import { reportPage, type Month } from '../report-page.ts';

const FOLDER = path.resolve(import.meta.dirname, '../out');

RenderReport.handler(async (task, job) => {
  const months: Month[] = [];
  for (let month = 1; month <= 12; month += 1) {
    const name = `${job.year}-${String(month).padStart(2, '0')}`;
    task.progress({ current: month - 1, total: 12 }, name);
    const regions: Month['regions'] = await task.em.execute(
      `select region, count(*)::int as sales, sum(cents)::float / 100 as revenue
       from sale where sold_on >= ?::date and sold_on < ?::date + interval '1 month' group by region order by region`,
      [`${name}-01`, `${name}-01`],
    );
    // This attempt fails; when to try again, and how often, is said in the class's options.
    if (regions.length === 0) throw new SalesMissing(`the sales of ${name} are not imported yet`);
    months.push({ name, regions });
  }
  // At least once: should this attempt be repeated after a crash, it writes the same file again.
  const file = path.join(FOLDER, `sales-${job.year}.html`);
  await mkdir(FOLDER, { recursive: true });
  await writeFile(file, reportPage(job.year, months));
  job.result = path.relative(process.cwd(), file);
});

class SalesMissing extends Error {
  override name = 'SalesMissing';
}
