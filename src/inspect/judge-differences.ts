// Open jobs against Temporal: what differs, and who repairs it.
import type { Difference } from '../relay/examiner.ts';
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
  const { differences, looked, isComplete, repair } = found;
  const values = { differences, looked, isComplete };
  const compared = isComplete ? '' : ` (of the first ${count(looked, 'open job')} that were compared)`;
  if (differences.length === 0) {
    const agree = isComplete ? 'open jobs and Temporal agree' : `the first ${count(looked, 'open job')} and Temporal agree`;
    return [ok('jobs.differences', agree, { values })];
  }
  const details = differences.slice(0, SHOWN).map(lineOf);
  if (differences.length > SHOWN) details.push(`… and ${differences.length - SHOWN}${isComplete ? '' : ' or'} more`);
  const more = { details, values };
  const number = `${count(differences.length, 'job')}${isComplete ? '' : ' or more'}`;
  const left = differences.filter(({ repaired }) => !repaired);
  if (left.length === 0) {
    const were = differences.length === 1 ? 'was' : 'were';
    return [ok('jobs.differences', `${number} differed from Temporal and ${were} repaired${compared}`, more)];
  }
  const toReport = left.some(({ kind }) => kind === 'report');
  const advice = toReport
    ? "Those with whenLost: 'report' are yours to decide: job.revoke({ terminate: true }), then job.retry()."
    : repair
      ? 'They changed meanwhile, or Temporal went away. Ask again.'
      : 'Workers repair them within seconds. Without one: asyncjob doctor --fix';
  const level = toReport || !someWorkerLives ? problem : warning;
  return [level('jobs.differences', `${number} that Temporal sees otherwise${compared}`, advice, more)];
}

function lineOf({ run, kind, why, repaired }: Difference): string {
  return `${run.jobType} ${run.id}, run ${run.run}: ${why} → ${REPAIRS[kind][repaired ? 'done' : 'plan']}`;
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
