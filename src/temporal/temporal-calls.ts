// Calls of one application to Temporal: with a deadline, with errors that say where Temporal was looked for, and with the
// memory of an outage, so that not every caller waits for the deadline.
import type { Client } from '@temporalio/client';
import type { EagerStarter, TemporalConnection, TemporalSettings } from './connection.ts';
import { isExecutionNotFound } from './failures.ts';
import { Outage } from './outage.ts';

const DEADLINE_MS = 5_000;
/** While Temporal was away a moment ago, nobody shall wait long for the call that finds out whether it is back: one reconnect. */
const PROBE_DEADLINE_MS = 1_500;

export class TemporalCalls {
  readonly applicationName: string;
  readonly #connection: TemporalConnection;
  readonly #deadlineMs: number;
  readonly #outage = new Outage();

  /** `applicationName`: the first part of workflow ids and task queues. `deadlineMs`: how long one call may take. */
  constructor(connection: TemporalConnection, applicationName: string, deadlineMs = DEADLINE_MS) {
    this.#connection = connection;
    this.applicationName = applicationName;
    this.#deadlineMs = deadlineMs;
  }

  get client(): Client {
    return this.#connection.client;
  }

  get settings(): TemporalSettings {
    return this.#connection.settings;
  }

  /** `call` learns how long it may take. @throws AsyncJobError `temporal.unavailable`, `temporal.namespace` */
  call<T>(call: (deadlineMs: number) => Promise<T>): Promise<T> {
    return this.#outage.guard((isProbe) => {
      const deadlineMs = isProbe ? Math.min(PROBE_DEADLINE_MS, this.#deadlineMs) : this.#deadlineMs;
      return this.#connection.within(deadlineMs, () => call(deadlineMs));
    });
  }

  /** Starts by the connection of a worker in this process that may begin it at once; `null`: no worker here serves the queue. */
  eagerFor(taskQueue: string, deadlineMs: number): EagerStarter | null {
    return this.#connection.eagerFor(taskQueue, deadlineMs);
  }

  /** `null` when what was asked for is not there, or not any more. */
  async unlessGone<T>(call: () => Promise<T>, how: 'call' | 'aside' = 'call'): Promise<T | null> {
    try {
      return await this[how](call);
    } catch (error) {
      if (isExecutionNotFound(error)) return null;
      throw error;
    }
  }

  /**
   * A call in the background, apart from the outage's memory: lists that are busy or away, or a limit that comparing
   * jobs has used up, say nothing about starts.
   */
  aside<T>(call: () => Promise<T>): Promise<T> {
    return this.#connection.within(this.#deadlineMs, call);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
