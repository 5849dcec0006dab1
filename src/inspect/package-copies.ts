// Which copies of the packages that must fit together are installed, and who gets which: found by Node's own rules from
// the application's configuration file and from this library, and on from each copy that was found.
import { readFileSync, realpathSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { PackageCopy, PackagesFacts } from './facts.ts';

/** What an application and this library import themselves, as far as it is installed. */
const NAMES = [
  'asyncjob',
  ...['client', 'common', 'worker', 'workflow', 'activity', 'envconfig', 'testing'].map((name) => `@temporalio/${name}`),
  ...['core', 'postgresql', 'sql', 'migrations', 'cli', 'decorators', 'reflection', 'seeder', 'entity-generator'].map(
    (name) => `@mikro-orm/${name}`,
  ),
];
const FOLLOWED = /^(@temporalio\/|@mikro-orm\/|kysely$)/;

interface Manifest {
  name: string;
  version: string;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

/** `importers`: name → file whose imports count. */
export function findPackageCopies(importers: Record<string, string>, node: string = process.versions.node): PackagesFacts {
  const copies = new Map<string, PackageCopy>();
  const look = (name: string, importer: string, from: string): void => {
    const file = manifestOf(name, from);
    if (file === null) return;
    const found = copies.get(file);
    if (found) {
      if (!found.usedBy.includes(importer)) found.usedBy.push(importer);
      return;
    }
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
    copies.set(file, { name, version: manifest.version, folder: path.dirname(file), usedBy: [importer] });
    const needed = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
    for (const dependency of needed) if (FOLLOWED.test(dependency)) look(dependency, name, file);
  };
  for (const [importer, from] of Object.entries(importers)) for (const name of NAMES) look(name, importer, from);
  return { node, copies: [...copies.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** This library's own file, as an importer. */
export const LIBRARY = fileURLToPath(import.meta.url);

function manifestOf(name: string, from: string): string | null {
  try {
    const file = findPackageJSON(name, pathToFileURL(from));
    return file === undefined ? null : realpathSync(file);
  } catch {
    return null; // not installed there
  }
}
