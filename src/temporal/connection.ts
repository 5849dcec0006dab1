// Where Temporal is and how to talk to it: the application's settings over the TEMPORAL_* variables and the profile
// file of Temporal's own tools. The connection is lazy and pure JavaScript: no native core in web processes.
import { Client, Connection } from '@temporalio/client';
import type { ConnectionLike, ConnectionOptions, TLSConfig } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { ClientConnectConfig } from '@temporalio/envconfig';
import { AsyncJobError } from '../domain/errors.ts';
import { rejection } from '../domain/pause.ts';
import { toTemporalError, unavailable } from './failures.ts';
import type { TemporalTarget } from './failures.ts';

/** `temporal` of the configuration; what is absent comes from TEMPORAL_* and the profile file, then Temporal's defaults. */
export interface TemporalOptions {
  /** `host:port`. @default 'localhost:7233' */
  address?: string | undefined;
  /** @default 'default' */
  namespace?: string | undefined;
  tls?: TLSConfig | boolean | undefined;
  apiKey?: string | undefined;
  /** Codecs and converters for what crosses Temporal; workers and clients need the same. */
  dataConverter?: DataConverter | undefined;
}

/** Everything resolved; `connectionOptions` suit the client's `Connection` and the worker's `NativeConnection`. */
export interface TemporalSettings extends TemporalTarget {
  connectionOptions: ClientConnectConfig['connectionOptions'] & { address: string };
  dataConverter: DataConverter | undefined;
}

/** @throws AsyncJobError `settings.invalid` when the profile file cannot be read */
export function resolveTemporal(
  options: TemporalOptions = {},
  env: Readonly<Record<string, string | undefined>> = process.env,
): TemporalSettings {
  const { connectionOptions: found, namespace } = loadEnvironment(env);
  const address = options.address ?? found.address ?? 'localhost:7233';
  const apiKey = options.apiKey ?? found.apiKey;
  const tls = options.tls ?? (options.apiKey === undefined ? found.tls : (found.tls ?? true));
  return {
    address,
    namespace: options.namespace ?? namespace ?? 'default',
    connectionOptions: { ...without(found, undefined), address, ...without({ apiKey, tls }, undefined) },
    dataConverter: options.dataConverter,
  };
}

function loadEnvironment(env: Readonly<Record<string, string | undefined>>): ClientConnectConfig {
  const overrideEnvVars = without(env, undefined) as Record<string, string>;
  try {
    return loadClientConnectConfig({ overrideEnvVars });
  } catch (error) {
    // An empty profile file has no profiles, which envconfig takes for granted.
    if (error instanceof TypeError) return loadClientConnectConfig({ overrideEnvVars, disableFile: true });
    throw new AsyncJobError(
      'settings.invalid',
      `Temporal's settings (TEMPORAL_* variables or profile file) cannot be read: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function without<T extends object>(fields: T, value: unknown): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, each]) => each !== value)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}

function isLoopback(address: string): boolean {
  return /^(localhost|127\.[\d.]+|\[::1\]):/.test(address);
}

interface EagerWorker {
  connection: ConnectionLike;
  client: Client;
  taskQueues: readonly string[];
}

/** Starts something by a worker's own connection. */
export type EagerStarter = <R>(start: (client: Client, isEager: boolean) => Promise<R>) => Promise<R>;

/** One lazy connection with its client. */
export class TemporalConnection {
  readonly settings: TemporalSettings;
  readonly client: Client;
  readonly #connection: Connection;
  readonly #workers = new Set<EagerWorker>();

  constructor(settings: TemporalSettings) {
    this.settings = settings;
    this.#connection = Connection.lazy({
      ...(settings.connectionOptions as ConnectionOptions),
      // gRPC's own back-off grows to two minutes: too long for a server that is back.
      channelArgs: {
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 1_000,
        // A proxy of the environment (https_proxy) cannot reach this machine's own servers.
        ...(isLoopback(settings.address) ? { 'grpc.enable_http_proxy': 0 } : {}),
      },
    });
    this.client = this.#clientOf(this.#connection);
  }

  #clientOf(connection: ConnectionLike): Client {
    const { namespace, dataConverter } = this.settings;
    return new Client({ connection, namespace, ...(dataConverter === undefined ? {} : { dataConverter }) });
  }

  /**
   * A worker of this process takes tasks from now on: what is started for its queues by its own connection may begin there
   * at once, without a way through the queue. Returns how to say that it takes no more.
   */
  startsEagerly(connection: ConnectionLike, taskQueues: readonly string[]): () => void {
    const worker: EagerWorker = { connection, client: this.#clientOf(connection), taskQueues };
    this.#workers.add(worker);
    return () => void this.#workers.delete(worker);
  }

  /** How workflows of the queue may be started eagerly, within `deadlineMs`; `null`: there is no such worker here. */
  eagerFor(taskQueue: string, deadlineMs: number): EagerStarter | null {
    const worker = [...this.#workers].find(({ taskQueues }) => taskQueues.includes(taskQueue));
    return worker ? (start) => this.#startEagerly(worker, deadlineMs, start) : null;
  }

  async #startEagerly<R>(worker: EagerWorker, deadlineMs: number, start: (client: Client, isEager: boolean) => Promise<R>): Promise<R> {
    const { connection, client } = worker;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(unavailable(this.settings, `no answer within ${deadlineMs} ms`)), deadlineMs);
    try {
      // For the native core the deadline is that of each of its own attempts.
      const starting = connection.withDeadline(Date.now() + deadlineMs, () => start(client, true));
      return await Promise.race([starting, rejection(late.signal)]);
    } catch (error) {
      // The worker has ended meanwhile, and its connection with it. A start may be sent twice.
      if (!late.signal.aborted && !this.#workers.has(worker)) return await start(this.client, false);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Calls made in `call` fail after `deadlineMs`; failures are `temporal.unavailable` or `temporal.namespace` where they mean that. */
  async within<T>(deadlineMs: number, call: () => Promise<T>): Promise<T> {
    try {
      return await this.#connection.withDeadline(Date.now() + deadlineMs, call);
    } catch (error) {
      throw toTemporalError(error, this.settings);
    }
  }

  /**
   * Returns when Temporal answers and has the namespace.
   *
   * @throws AsyncJobError `temporal.unavailable`, `temporal.namespace`
   */
  async check(deadlineMs = 5_000): Promise<void> {
    const { namespace } = this.settings;
    await this.within(deadlineMs, () => this.client.workflowService.describeNamespace({ namespace }));
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}
