// `asyncjob doctor --json`, and what it found.
import type { CheckCode, Finding, Level } from '../../../src/inspect/findings.ts';
import { runCommand, type Ended } from './run-command.ts';

export interface Report extends Ended {
  document: { version: string; ok: boolean; counts: Record<Level, number>; findings: Finding[] };
  of(code: CheckCode): Finding[];
  levels: Record<string, Level>;
}

export interface DoctorOptions {
  args?: string[];
  cwd?: string;
  /** The servers that do not answer, by the checks that shall say so. */
  silent?: CheckCode[];
}

/** How it says that it had no answer within the few seconds that it gives a server. */
const TOO_LATE = /no answer within|not answer in time|time-?out/i;

/** A machine that stands still for these few seconds makes a finding, too: then it is asked once more. */
export async function doctor(env: Record<string, string>, { silent = [], ...options }: DoctorOptions = {}): Promise<Report> {
  const report = await askOnce(env, options);
  const isTooLate = report.document.findings.some(
    ({ code, level, found }) => level !== 'ok' && TOO_LATE.test(found) && !silent.includes(code),
  );
  return isTooLate ? askOnce(env, options) : report;
}

async function askOnce(env: Record<string, string>, { args = [], cwd }: DoctorOptions): Promise<Report> {
  const ended = await runCommand(['doctor', '--json', ...args], { env, ...(cwd ? { cwd } : {}) });
  const document = JSON.parse(ended.stdout) as Report['document'];
  return {
    ...ended,
    document,
    of: (code) => document.findings.filter((finding) => finding.code === code),
    levels: Object.fromEntries(document.findings.map(({ code, level }) => [code, level])),
  };
}
