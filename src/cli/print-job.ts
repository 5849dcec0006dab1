// `asyncjob status ID`: one job in full, for people.
import { inspect } from 'node:util';
import Table from 'cli-table3';
import type { JobReport } from '../inspect/job-report.ts';
import { timeSpan } from '../inspect/words.ts';
import { BARE_TABLE } from './print-counts.ts';
import { wrap, type Paint, type Screen } from './terminal.ts';

const STACK_LINES_SHOWN = 5;
const STATUS_STYLES: Partial<Record<JobReport['status'], Parameters<Paint>[0]>> = { SUCCESS: 'good', FAILURE: 'bad', REVOKED: 'odd' };

type Line = [name: string, value: string];

export function printJob(job: JobReport, screen: Screen): string {
  const { paint } = screen;
  const status = STATUS_STYLES[job.status] ? paint(STATUS_STYLES[job.status]!, job.status) : paint('strong', job.status);
  const sections = [
    [`${paint('strong', job.jobType)} ${job.id} ${status}`, ...table([...factsOf(job), ...timesOf(job), ...endOf(job)], screen)],
    section('Error', errorOf(job, screen), screen),
    section(
      'Own columns',
      table(
        Object.entries(job.own).map(([name, value]) => [name, short(value)] as Line),
        screen,
      ),
      screen,
    ),
    section('Attempts that did not simply succeed', attemptsOf(job, screen), screen),
    section('Temporal', temporalOf(job, screen), screen),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function section(title: string, lines: string[], { paint }: Screen): string[] {
  return lines.length === 0 ? [] : [paint('strong', title), ...lines];
}

/** Two columns; long values go on under themselves. */
function table(lines: readonly Line[], { width, paint }: Screen): string[] {
  const first = Math.max(0, ...lines.map(([name]) => name.length));
  return lines.flatMap(([name, value]) => {
    const [head = '', ...rest] = wrap(value, width - first - 4);
    return [`  ${paint('faint', name.padEnd(first))}  ${head}`, ...rest.map((line) => ' '.repeat(first + 4) + line)];
  });
}

function factsOf(job: JobReport): Line[] {
  const { progress, progressMessage, worker } = job;
  const shown: (Line | null)[] = [
    ['queue', job.priority === null ? job.queue : `${job.queue}, priority ${job.priority}`],
    job.run === 0 ? null : ['run', `${job.run}, ${attemptOf(job)}`],
    progress === null && progressMessage === null
      ? null
      : [
          'progress',
          [progress === null ? null : `${Math.round(progress * 100)} %`, progressMessage].filter((part) => part !== null).join(' '),
        ],
    worker === null ? null : ['worker', `${worker.id} (${stateOf(worker)})`],
  ];
  return shown.filter((line) => line !== null);
}

function attemptOf({ attempt, failures, maximumAttempts, crashes }: JobReport): string {
  if (attempt === 0) return 'no attempt yet';
  return `attempt ${attempt}; failures ${failures} of ${maximumAttempts}, crashes ${crashes}`;
}

function stateOf({ state, seenMsAgo }: NonNullable<JobReport['worker']>): string {
  if (state === 'unknown') return 'not in the registry';
  return state === 'alive' ? 'alive' : `${state === 'dead' ? 'died' : 'stopped'}, last seen ${timeSpan(seenMsAgo ?? 0)} ago`;
}

function timesOf(job: JobReport): Line[] {
  const { createdAt, enqueuedAt, runAt, startedAt, endedAt, nextAttemptAt, revokeRequestedAt, now } = job;
  const at = (time: Date) => `${localTime(time)} (${fromNow(time, now)})`;
  const waitedSince = [enqueuedAt ?? createdAt, ...(runAt ? [runAt] : [])].reduce((a, b) => (a > b ? a : b));
  const shown: (Line | null)[] = [
    ['created', at(createdAt)],
    enqueuedAt ? ['enqueued', at(enqueuedAt)] : null,
    runAt ? ['not before', at(runAt)] : null,
    startedAt
      ? ['started', `${at(startedAt)}${job.attempt > 1 ? '' : `, waited ${timeSpan(startedAt.getTime() - waitedSince.getTime())}`}`]
      : null,
    endedAt ? ['ended', `${at(endedAt)}${startedAt ? `, ran ${timeSpan(endedAt.getTime() - startedAt.getTime())}` : ''}`] : null,
    job.status === 'STARTED' && startedAt ? ['running for', timeSpan(now.getTime() - startedAt.getTime())] : null,
    nextAttemptAt && job.status === 'PENDING' ? ['next attempt', at(nextAttemptAt)] : null,
    revokeRequestedAt
      ? [
          'revocation',
          `${at(revokeRequestedAt)}${job.revokedBy ? ` by ${job.revokedBy}` : ''}${job.revokeReason ? `: ${job.revokeReason}` : ''}`,
        ]
      : null,
  ];
  return shown.filter((line) => line !== null);
}

function endOf({ output, checkpoint }: JobReport): Line[] {
  return [
    ...(checkpoint === null ? [] : [['checkpoint', short(checkpoint)] as Line]),
    ...(output === null ? [] : [['output', short(output)] as Line]),
  ];
}

function errorOf({ error, errorMessage }: JobReport, { width, paint }: Screen): string[] {
  if (errorMessage === null) return [];
  const code = error?.code ? ` [${error.code}]` : '';
  const stack = (error?.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const shown = stack.slice(0, STACK_LINES_SHOWN).map((line) => `    ${line.trim()}`);
  if (stack.length > STACK_LINES_SHOWN) shown.push(`    … ${stack.length - STACK_LINES_SHOWN} more`);
  const message = errorMessage.split('\n').flatMap((line) => wrap(`  ${line}`, width));
  message[message.length - 1] += code;
  return [...message, ...shown.map((line) => paint('faint', line))];
}

function attemptsOf({ attempts, now }: JobReport, { paint, width }: Screen): string[] {
  if (attempts.length === 0) return [];
  const drawn = new Table({
    ...BARE_TABLE,
    head: ['RUN', 'ATTEMPT', 'OUTCOME', 'ENDED', 'TOOK', 'WORKER'].map((text) => paint('faint', text)),
  });
  for (const { run, attempt, outcome, startedAt, endedAt, workerId } of attempts) {
    const took = startedAt && endedAt ? timeSpan(endedAt.getTime() - startedAt.getTime()) : '-';
    drawn.push([run, attempt, outcome, endedAt ? `${timeSpan(now.getTime() - endedAt.getTime())} ago` : '-', took, workerId ?? '-']);
  }
  const [head = '', ...rows] = drawn.toString().split('\n');
  return [
    `  ${head.trimEnd()}`,
    ...attempts.flatMap(({ errorMessage, outcome }, i) => [
      `  ${rows[i]!.trimEnd()}`,
      // What a handed-back attempt says is its reason, not an error.
      ...(errorMessage === null || outcome === 'handed_back'
        ? []
        : wrap(`    ${firstLine(errorMessage)}`, width).map((line) => paint('faint', line))),
    ]),
  ];
}

function firstLine(text: string): string {
  const line = text.split('\n')[0]!;
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
}

function temporalOf({ temporal, status, run, inLanes }: JobReport, screen: Screen): string[] {
  if (temporal === null) return run === 0 || status === 'REVOKED' ? [] : [inLanes ? '  waits for a lane' : '  not dispatched'];
  const { namespace, taskQueue, workflowId, runId, link, address } = temporal;
  const facts = table(
    [
      ['workflow', workflowId],
      ['run', runId],
      ['namespace', `${namespace} at ${address}, task queue ${taskQueue}`],
    ],
    screen,
  );
  if (link !== null) return [...facts, `  ${link}`];
  // As it can be pasted into a shell.
  return [...facts, `  temporal workflow describe --address ${address} --namespace ${namespace} \\`, `    --workflow-id '${workflowId}'`];
}

/** `2026-11-25 19:40:12`, in this machine's time zone. */
export function localTime(time: Date): string {
  const two = (number: number) => String(number).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${date} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}`;
}

function fromNow(time: Date, now: Date): string {
  const ms = now.getTime() - time.getTime();
  return ms >= 0 ? `${timeSpan(ms)} ago` : `in ${timeSpan(-ms)}`;
}

/** A value in one line, cut where it gets long. */
export function short(value: unknown): string {
  const text =
    typeof value === 'string'
      ? value
      : inspect(value, { breakLength: Infinity, compact: true, depth: 4, maxArrayLength: 10, maxStringLength: 200 });
  const line = text.replaceAll(/\s+/g, ' ').trim();
  if (value === '') return "''";
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}
