// `asyncjob status`: the table of job types, queues and statuses, for people.
import Table from 'cli-table3';
import { STATUSES } from '../domain/lifecycle.ts';
import type { JobCounts } from '../inspect/job-counts.ts';
import { count, timeSpan } from '../inspect/words.ts';
import { wrap, type Screen } from './terminal.ts';

/** Columns without lines between them: they are read with eyes as well as with awk. */
export const BARE_TABLE = {
  chars: Object.fromEntries(
    [
      'top',
      'top-mid',
      'top-left',
      'top-right',
      'bottom',
      'bottom-mid',
      'bottom-left',
      'bottom-right',
      'left',
      'left-mid',
      'mid',
      'mid-mid',
      'right',
      'right-mid',
      'middle',
    ].map((name) => [name, name === 'middle' ? '  ' : '']),
  ),
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

export function printCounts(rows: readonly JobCounts[], where: { application: string; database: string }, screen: Screen): string {
  const title = `${where.application === '' ? 'Jobs' : `Jobs of '${where.application}'`} in ${where.database}`;
  if (rows.length === 0) return `${title}: none\n`;
  return `${[...wrap(title, screen.width), '', tableOf(rows, screen), '', ...closingLines(rows, screen)].join('\n')}\n`;
}

function tableOf(rows: readonly JobCounts[], { paint, width, isTerminal }: Screen): string {
  const numbers = STATUSES.map((status) => Math.max(status.length, ...rows.map(({ counts }) => String(counts[status]).length)));
  // What the numbers leave, shared by the two names; nothing is cut off where nobody looks.
  const forNames = width - numbers.reduce((sum, each) => sum + each + 2, 0) - 2;
  const cut = (text: string, most: number) => (isTerminal && text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const table = new Table({
    ...BARE_TABLE,
    colAligns: ['left', 'left', ...STATUSES.map(() => 'right' as const)],
    head: ['JOB TYPE', 'QUEUE', ...STATUSES].map((text) => paint('faint', text)),
  });
  const queueLength = Math.min(Math.max(...rows.map(({ queue }) => queue.length)), Math.floor(forNames / 2));
  for (const { jobType, queue, counts } of rows) {
    table.push([
      cut(jobType, Math.max(8, forNames - queueLength)),
      cut(queue, Math.max(5, queueLength)),
      ...STATUSES.map((status) => {
        const text = counts[status] === 0 ? '-' : String(counts[status]);
        return counts[status] > 0 && status === 'FAILURE' ? paint('bad', text) : counts[status] > 0 ? text : paint('faint', text);
      }),
    ]);
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function closingLines(rows: readonly JobCounts[], { width }: Screen): string[] {
  const total = (field: 'due' | 'undispatched') => rows.reduce((sum, row) => sum + row[field], 0);
  const oldest = (field: 'oldestDueMs' | 'oldestUndispatchedMs') => Math.max(...rows.map((row) => row[field] ?? 0));
  const waiting = total('due');
  const undispatched = total('undispatched');
  const lines = [
    waiting === 0
      ? 'No job waits for a worker.'
      : `${count(waiting, 'job')} ${waiting === 1 ? 'waits' : 'wait'} for a worker, the oldest for ${timeSpan(oldest('oldestDueMs'))}.`,
    ...(undispatched === 0
      ? []
      : [
          `${count(undispatched, 'job')} never dispatched to Temporal, the oldest for ${timeSpan(oldest('oldestUndispatchedMs'))}: see asyncjob doctor.`,
        ]),
  ];
  return lines.flatMap((line) => wrap(line, width));
}
