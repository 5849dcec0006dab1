// Facts → findings: pure, so that every judgement can be tested without servers.
import type { Facts } from './facts.ts';
import { isFailure } from './facts.ts';
import { CHECK_CODES, LEVELS, type Finding, type Level } from './findings.ts';
import { judgePackages } from './judge-packages.ts';
import { judgeServers } from './judge-servers.ts';
import { judgeSetup } from './judge-setup.ts';
import { judgeWork } from './judge-work.ts';

/** All findings, in the order of the checks; within a check the worst first. */
export function judge(facts: Facts): Finding[] {
  const findings = [...judgeSetup(facts), ...judgePackages(facts), ...judgeServers(facts), ...judgeWork(facts)];
  const rank = ({ code, level }: Finding) => CHECK_CODES.indexOf(code) * LEVELS.length - LEVELS.indexOf(level);
  return findings.sort((a, b) => rank(a) - rank(b));
}

export function countLevels(findings: readonly Finding[]): Record<Level, number> {
  const counts: Record<Level, number> = { ok: 0, warning: 0, problem: 0 };
  for (const { level } of findings) counts[level]++;
  return counts;
}

/** Which errors mean that the caller has to do something else, not that something broke. */
const USAGE = ['settings.invalid', 'config.not_found', 'config.invalid'];

/** 0 fine, or warnings only; 1 problems; 2 wrong settings or no configuration. */
export function exitCodeOf(facts: Facts, findings: readonly Finding[]): 0 | 1 | 2 {
  const early = [facts.settings, facts.configuration, facts.application].filter(isFailure);
  if (early.some(({ error }) => USAGE.includes(error.code ?? ''))) return 2;
  return findings.some(({ level }) => level === 'problem') ? 1 : 0;
}
