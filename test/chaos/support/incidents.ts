// What the test did to processes and servers, and when: without it nobody can judge what the rows say.

/** A worker process that is gone. */
export interface Death {
  pid: number;
  at: number;
}

/** A worker process that was stopped and continued (SIGSTOP … SIGCONT), or that the machine did not run. `to` is infinite while it lasts. */
export interface Freeze {
  pid: number;
  from: number;
  to: number;
}

/** A server that did not answer. `to` is infinite while it lasts. */
export interface Outage {
  server: 'postgres' | 'temporal';
  from: number;
  to: number;
  /** It came back without its data. */
  lost: boolean;
}

export class Incidents {
  readonly deaths: Death[] = [];
  readonly freezes: Freeze[] = [];
  readonly outages: Outage[] = [];
  /** Jobs whose revocation somebody asked for, here or in Temporal. */
  readonly revocations = new Set<string>();

  /** The earliest word counts: the moment of the signal rather than that of the notice. */
  died(pid: number, at: number): void {
    if (!this.deaths.some((death) => death.pid === pid)) this.deaths.push({ pid, at });
  }

  froze(pid: number): void {
    this.freezes.push({ pid, from: Date.now(), to: Infinity });
  }

  thawed(pid: number): void {
    const freeze = this.freezes.find((each) => each.pid === pid && each.to === Infinity);
    if (freeze) freeze.to = Date.now();
  }

  outageBegan(server: Outage['server']): void {
    this.outages.push({ server, from: Date.now(), to: Infinity, lost: false });
  }

  outageEnded(server: Outage['server'], lost: boolean): void {
    const outage = this.outages.find((each) => each.server === server && each.to === Infinity);
    if (outage) Object.assign(outage, { to: Date.now(), lost });
  }
}
