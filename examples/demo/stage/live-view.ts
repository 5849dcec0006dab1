// The jobs while they run: a table that is redrawn on a terminal, a line per change everywhere else.
import { styleText } from 'node:util';
import type { AsyncJobView, Status } from 'asyncjob';
import logUpdate from 'log-update';
import { say, WIDTH, wrap } from './say.ts';
import { table } from './table.ts';

const BAR_LENGTH = 10;
const isTerminal = process.stdout.isTTY;

export class LiveView {
  readonly #subjects: ReadonlyMap<string, string>;
  readonly #said = new Map<string, string>();
  #rows: AsyncJobView[] = [];

  /** @param subjects what each job is about, by its id */
  constructor(subjects: ReadonlyMap<string, string>) {
    this.#subjects = subjects;
  }

  show(rows: AsyncJobView[]): void {
    this.#rows = rows;
    if (isTerminal) logUpdate(this.#draw());
    else for (const row of rows) this.#sayChange(row);
  }

  /** A line that stays above the table. */
  say(text: string): void {
    if (!isTerminal) return say(text);
    logUpdate.persist(wrap(text));
    logUpdate(this.#draw());
  }

  /** Leaves the table as it stands. */
  end(): void {
    if (isTerminal) logUpdate.done();
  }

  #draw(): string {
    const columns = { Job: 12, '': 14, Status: 7, Progress: BAR_LENGTH + 5, Time: 6 };
    const cells = this.#rows.map((row) => [
      row.jobType,
      this.#subjects.get(row.id)!,
      inColor(row.status),
      bar(row.progress),
      runningTime(row),
      note(row),
    ]);
    return `\n${table({ ...columns, Note: 'rest' }, cells)}\n`;
  }

  #sayChange(row: AsyncJobView): void {
    const quarter = row.status === 'STARTED' ? Math.floor((row.progress ?? 0) * 4) : 0;
    const change = `${row.status} ${row.attempt} ${quarter}`;
    if (this.#said.get(row.id) === change) return;
    this.#said.set(row.id, change);
    const percent = row.progress ? `${Math.floor(row.progress * 100)} %` : '';
    const cells = [row.jobType.padEnd(12), this.#subjects.get(row.id)!.padEnd(14), row.status.padEnd(7), percent.padStart(5)];
    say(`${new Date().toTimeString().slice(0, 8)}  ${cells.join('  ')}  ${note(row)}`.slice(0, WIDTH).trimEnd());
  }
}

// Colours that can be read on light and dark grounds alike.
const COLORS: Partial<Record<Status, Parameters<typeof styleText>[0]>> = {
  STARTED: 'bold',
  SUCCESS: 'green',
  FAILURE: 'red',
  REVOKED: 'magenta',
};

function inColor(status: Status): string {
  const color = COLORS[status];
  return color ? styleText(color, status) : status;
}

function bar(progress: number | null | undefined): string {
  if (typeof progress !== 'number') return '';
  const full = Math.round(progress * BAR_LENGTH);
  return `${'█'.repeat(full)}${'░'.repeat(BAR_LENGTH - full)} ${String(Math.floor(progress * 100)).padStart(3)}%`;
}

function runningTime({ startedAt, endedAt }: AsyncJobView): string {
  if (!startedAt) return '';
  return `${(((endedAt ?? new Date()).getTime() - startedAt.getTime()) / 1_000).toFixed(1)} s`.padStart(6);
}

function note({ status, progressMessage, errorMessage, nextAttemptAt }: AsyncJobView): string {
  if (status === 'STARTED') return progressMessage ?? '';
  if (status === 'PENDING' && nextAttemptAt) {
    const seconds = Math.max(0, Math.ceil((nextAttemptAt.getTime() - Date.now()) / 1_000));
    return `retry in ${seconds} s`;
  }
  return errorMessage ?? '';
}
