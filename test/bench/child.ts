// The program of a producer or worker process: `child.ts ROLE CONTESTANT`, with its surroundings in the environment. It
// does what its parent (child-process.ts) asks, and ends with it.
import { CONTESTANTS, type ContestantName } from './contestants/index.ts';
import type { Contestant, Surroundings } from './contestants/contestant.ts';
import { SURROUNDINGS, type Answer, type Question } from './child-process.ts';
import { now } from './measure/clock.ts';
import { Times } from './measure/times.ts';

export interface ProducerCommands {
  /** Enqueues `count` jobs from number `first` on, `callers` at the same time; the times of the first call and the last return. */
  enqueueOneByOne(first: number, count: number, callers: number): Promise<{ firstCallAt: number; lastReturnAt: number }>;
  enqueueOne(seq: number): Promise<{ id: string; calledAt: number; returnedAt: number }>;
  /** In one call. */
  enqueueMany(first: number, count: number): Promise<{ calledAt: number; returnedAt: number }>;
  /** When jobs `first`, `first + 1`, … were enqueued one by one; `null`: never. */
  callTimes(first: number, count: number): Promise<(number | null)[]>;
}

export interface WorkerCommands {
  /** How often handlers ran; more than jobs if one ran twice. */
  runs(): Promise<number>;
  /** When the handlers of jobs `first`, `first + 1`, … ran in this process; `null`: never. */
  startTimes(first: number, count: number): Promise<(number | null)[]>;
}

type Served<Commands> = { commands: Commands; stop(): PromiseLike<void> };

const [role, name] = process.argv.slice(2) as [string, ContestantName];
process.once('disconnect', () => process.exit(1));
const contestant: Contestant = await CONTESTANTS[name].load();
const surroundings = JSON.parse(process.env[SURROUNDINGS]!) as Surroundings;
const served = role === 'producer' ? await serveProducer(contestant, surroundings) : await serveWorker(contestant, surroundings);
process.on('message', (question: Question) => void answer(question));
send({ ready: true });

async function answer({ number, command, args }: Question): Promise<void> {
  if (command === 'stop') {
    await served.stop();
    process.exit(0);
  }
  try {
    const run = (served.commands as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[command]!;
    send({ number, value: await run(...args) });
  } catch (error) {
    send({ number, error: (error as Error).stack ?? String(error) });
  }
}

function send(message: Answer): void {
  process.send!(message);
}

async function serveProducer(contestant: Contestant, surroundings: Surroundings): Promise<Served<ProducerCommands>> {
  const producer = await contestant.openProducer(surroundings);
  const calledAt = new Times();
  return {
    commands: {
      async enqueueOneByOne(first, count, callers) {
        let next = first;
        const call = async () => {
          while (next < first + count) {
            const seq = next++;
            calledAt.set(seq, now());
            await producer.enqueue(seq);
          }
        };
        const firstCallAt = now();
        await Promise.all(Array.from({ length: callers }, call));
        return { firstCallAt, lastReturnAt: now() };
      },
      async enqueueOne(seq) {
        const calledAt = now();
        const id = await producer.enqueue(seq);
        return { id, calledAt, returnedAt: now() };
      },
      async enqueueMany(first, count) {
        const calledAt = now();
        await producer.enqueueMany!(first, count);
        return { calledAt, returnedAt: now() };
      },
      callTimes: async (first, count) => calledAt.slice(first, count),
    },
    stop: () => producer[Symbol.asyncDispose](),
  };
}

async function serveWorker(contestant: Contestant, surroundings: Surroundings): Promise<Served<WorkerCommands>> {
  const startedAt = new Times();
  let runs = 0;
  const worker = await contestant.startWorker(surroundings, (seq) => {
    runs += 1;
    startedAt.set(seq, now());
  });
  return {
    commands: {
      runs: async () => runs,
      startTimes: async (first, count) => startedAt.slice(first, count),
    },
    stop: () => worker[Symbol.asyncDispose](),
  };
}
