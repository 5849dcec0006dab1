// Imports a module of the user's: the configuration, a handlers module. What Node cannot read gets advice, since "Invalid
// or unexpected token" does not say that Node strips types and nothing else.
import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export function importModule(file: string): Promise<Record<string, unknown>> {
  return import(/* @vite-ignore */ pathToFileURL(file).href) as Promise<Record<string, unknown>>;
}

/** Why `file` could not be imported, as one sentence, with advice where the cause is how TypeScript is run. */
export function describeImportError(file: string, error: unknown): string {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const advice = adviceFor(file, error);
  return advice ? `${message}\n    ${advice}` : message;
}

const BUILD_OR_TSX =
  "Build first and give the built configuration file (-A dist/asyncjob.config.js), or load tsx: NODE_OPTIONS='--import tsx'.";

function adviceFor(file: string, error: unknown): string | null {
  if (!/\.[mc]?ts$/.test(file) || !(error instanceof Error)) return null;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION')
    return `This Node (${process.version}) does not run TypeScript; from 22.18 on it does. ${BUILD_OR_TSX}`;
  if (code === 'ERR_MODULE_NOT_FOUND') return adviceForSpecifier(error);
  if (!(error instanceof SyntaxError)) return null;
  if (code === 'ERR_INVALID_TYPESCRIPT_SYNTAX') return null; // no TypeScript either: the message shows where
  if (error.message.includes('does not provide an export named')) {
    return `If that is a type, import it by \`import type\`: Node strips types and does not look into other files.`;
  }
  return `Node runs TypeScript by stripping types: decorators, enums, namespaces and parameter properties need a build. ${BUILD_OR_TSX}`;
}

// './my-job.js' or './my-job' for a file my-job.ts: fine for a compiler, not for Node.
function adviceForSpecifier(error: Error): string | null {
  const url = (error as { url?: unknown }).url;
  if (typeof url !== 'string' || !url.startsWith('file:')) return null;
  const missing = fileURLToPath(url);
  const source = [missing.replace(/js$/, 'ts'), `${missing}.ts`].find((candidate) => candidate !== missing && existsSync(candidate));
  return source ? `There is ${relative(process.cwd(), source)}: write the extension .ts in the import. Or: ${BUILD_OR_TSX}` : null;
}
