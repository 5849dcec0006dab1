// Open jobs against Temporal: what differs, and who repairs it.
import type { Difference } from '../relay/reconciler.ts';
import { isFailure, type Facts } from './facts.ts';
import { ok, problem, warning, type Finding } from './findings.ts';
import { withoutCode } from './judge-setup.ts';
import { count } from './words.ts';

const SHOWN = 8;

export function judgeDifferences(facts: Facts, someWorkerLives: boolean): Finding[] {
  const found = facts.differences;
  if (found === null) return [];
  if (isFailure(found))
    return [
      warning('jobs.differences', `open jobs could not be compared: ${withoutCode(found.error)}`, 'Ask again when Temporal is less busy.'),
    ];
  const { differences, max, repair } = found;
  if (differences.length === 0) return [ok('jobs.differences', 'open jobs and Temporal agree', { values: { differences } })];
  const details = differences
    .slice(0, SHOWN)
    .map(
      ({ run, kind, why, repaired }) =>
        `${run.jobType} ${run.id}, run ${run.run}: ${why} → ${repaired ? REPAIRS[kind].done : REPAIRS[kind].plan}`,
    );
  if (differences.length > SHOWN) details.push(`… and ${differences.length - SHOWN}${differences.length === max ? ' or' : ''} more`);
  const left = differences.filter(({ repaired }) => !repaired);
  const more = { details, values: { differences } };
  const number = `${count(differences.length, 'job')}${differences.length === max ? ' or more' : ''}`;
  if (left.length === 0)
    return [ok('jobs.differences', `${number} differed from Temporal and ${differences.length === 1 ? 'was' : 'were'} repaired`, more)];
  const toReport = left.some(({ kind }) => kind === 'report');
  const advice = toReport
    ? "Those with whenLost: 'report' are yours to decide: job.revoke({ terminate: true }), then job.retry()."
    : repair
      ? 'They changed meanwhile, or Temporal went away. Ask again.'
      : 'Workers repair them within seconds. Without one: asyncjob doctor --fix';
  const level = toReport || !someWorkerLives ? problem : warning;
  return [level('jobs.differences', `${number} that Temporal sees otherwise`, advice, more)];
}

const REPAIRS: Record<Difference['kind'], { plan: string; done: string }> = {
  dispatch: { plan: 'to be dispatched', done: 'dispatched' },
  revoke: { plan: 'to be REVOKED', done: 'REVOKED' },
  fail: { plan: 'to be FAILURE', done: 'FAILURE' },
  next_run: { plan: 'to be run again', done: 'PENDING in its next run' },
  cancel: { plan: 'to be asked again to stop', done: 'asked again to stop' },
  terminate: { plan: 'the execution is to be ended', done: 'the execution was ended' },
  report: { plan: 'left to you', done: 'left to you' },
};
