// Hears of revocations when they are committed: one connection that LISTENs, made anew when it breaks. Nothing depends
// on it: what it misses (behind a pooler that pools transactions: everything, which it finds out) the watch's next look finds.
import type { Pool, PoolClient, QueryConfig } from 'pg';
import { pause } from '../domain/pause.ts';
import type { Log } from '../domain/ports.ts';
import { LANES_CHANNEL, REVOCATIONS_CHANNEL } from './statements.ts';

export interface RevocationNews {
  /** Of whichever worker or application: several may share a database. */
  revoked(jobId: string): void;
  /** A queue has jobs for a lane. Absent: nobody wants to know. */
  laneWanted?(queue: string): void;
  /** It listens from now on; what was said before was not heard. */
  mayHaveMissed(): void;
}

const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5_000;
/** An idle connection that a firewall forgot would never break by itself: it is used now and then. */
const PROBE_INTERVAL_MS = 30_000;
const PROBE_TIMEOUT_MS = 10_000;
/** What listeners say to themselves begins so: no job's id does. */
const WORD_TO_ITSELF = 'listening ';
const HEARD_WITHIN_MS = 2_000;

export class RevocationListener {
  readonly #pool: Pool;
  readonly #news: RevocationNews;
  readonly #log: Log;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #isDeaf = false;
  #isTried = false;

  /** Takes one connection of `pool` until it is stopped, and once another one for a moment. */
  constructor(pool: Pool, news: RevocationNews, log: Log) {
    this.#pool = pool;
    this.#news = news;
    this.#log = log;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    for (let pauseMs = PAUSE_MIN_MS; !this.#stop.signal.aborted;) {
      const since = performance.now();
      await this.#listen().catch((error: unknown) => this.#broken(error));
      const lasted = performance.now() - since > PAUSE_MAX_MS;
      pauseMs = lasted ? PAUSE_MIN_MS : Math.min(pauseMs * 2, PAUSE_MAX_MS);
      // Jitter: listeners that a restart of PostgreSQL cut off together do not come back together.
      await pause(pauseMs * (0.75 + Math.random() / 2), this.#stop.signal);
    }
  }

  /** Until it is stopped; throws when the connection breaks. */
  async #listen(): Promise<void> {
    const client = await this.#pool.connect();
    const ended = new AbortController();
    const wake = AbortSignal.any([this.#stop.signal, ended.signal]);
    client.once('end', () => ended.abort());
    client.on('notification', ({ channel, payload }) => this.#heard(channel, payload));
    try {
      for (let isNew = true; !this.#stop.signal.aborted; isNew = false) {
        // Repeated it changes nothing, and is the probe.
        const channels = [REVOCATIONS_CHANNEL, ...(this.#news.laneWanted ? [LANES_CHANNEL] : [])];
        await client.query({
          text: channels.map((channel) => `listen ${channel}`).join('; '),
          query_timeout: PROBE_TIMEOUT_MS,
        } as QueryConfig);
        if (isNew) {
          this.#connected();
          void this.#tryToHear(client, wake);
        }
        await pause(PROBE_INTERVAL_MS, wake);
      }
    } finally {
      client.release(true); // nobody else shall get a connection that listens
    }
  }

  #heard(channel: string, payload: string | undefined): void {
    if (!payload || payload.startsWith(WORD_TO_ITSELF)) return;
    if (channel === REVOCATIONS_CHANNEL) this.#news.revoked(payload);
    else this.#news.laneWanted?.(payload);
  }

  #connected(): void {
    if (this.#isDeaf) this.#log.info({}, 'revocations are heard at once again');
    this.#isDeaf = false;
    this.#news.mayHaveMissed();
  }

  #broken(error: unknown): void {
    // Once per outage.
    if (!this.#isDeaf) this.#log.warn({ err: error }, 'revocations are not heard at once now, but within seconds: the connection broke');
    this.#isDeaf = true;
  }

  /** Behind a pooler that pools transactions LISTEN succeeds, and nothing is ever heard. Finds it out, and says it once. */
  async #tryToHear(client: PoolClient, signal: AbortSignal): Promise<void> {
    if (this.#isTried) return;
    const word = `${WORD_TO_ITSELF}${crypto.randomUUID()}`;
    const heard = new AbortController();
    client.on('notification', ({ payload }) => payload === word && heard.abort());
    try {
      // By another connection: a pooler's server connection might tell itself.
      await this.#pool.query(`select pg_notify('${REVOCATIONS_CHANNEL}', $1)`, [word]);
    } catch (error) {
      this.#log.debug({ err: error }, 'whether revocations are heard could not be tried');
      return;
    }
    await pause(HEARD_WITHIN_MS, AbortSignal.any([heard.signal, signal]));
    if (signal.aborted) return; // the next connection tries it
    this.#isTried = true;
    if (heard.signal.aborted) return;
    this.#log.warn(
      {},
      'revocations are not heard: PostgreSQL is probably behind a pooler that pools transactions. Running handlers are told within two seconds. Set ASYNCJOB_LISTEN=false, for what enqueues as well: it saves the connection, and statements are not prepared, which such a pooler may mix up',
    );
  }
}
