// Modules of the application may print while they are loaded. That must not get into a JSON document on stdout.

/** Runs `work` with everything that is written to stdout going to stderr. */
export async function withQuietStdout<R>(work: () => Promise<R>): Promise<R> {
  const { stdout, stderr } = process;
  const write = stdout.write;
  stdout.write = stderr.write.bind(stderr) as typeof write;
  try {
    return await work();
  } finally {
    stdout.write = write;
  }
}
