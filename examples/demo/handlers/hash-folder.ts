// A worker finds this file because it lies in a folder named handlers/.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { HashFolder } from '../jobs.ts';

HashFolder.handler(async (task, job) => {
  const files = await filesBelow(job.folder);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const hash = createHash('sha256');
  const startedAt = performance.now();
  let done = 0;
  for (const { name } of files) {
    hash.update(name);
    // The signal aborts when somebody revokes the job: the stream throws then, and so does the handler.
    for await (const chunk of createReadStream(path.join(job.folder, name), { signal: task.signal })) {
      hash.update(chunk as Buffer);
      done += (chunk as Buffer).length;
      task.progress({ current: done, total }, name);
      if (job.megabytesPerSecond) {
        const dueMs = done / (job.megabytesPerSecond * 1_000);
        await pause(Math.max(0, startedAt + dueMs - performance.now()), undefined, { signal: task.signal });
      }
    }
  }
  // Saved together with SUCCESS.
  job.fileCount = files.length;
  job.byteCount = done;
  job.digest = hash.digest('hex');
});

async function filesBelow(folder: string): Promise<{ name: string; size: number }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
  return Promise.all(names.sort().map(async (name) => ({ name, size: (await stat(path.join(folder, name))).size })));
}
