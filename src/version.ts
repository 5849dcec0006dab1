// The version of this library.
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

// dist/ is the same tree without a package.json of its own, so that the nearest one is ours in both.
export const VERSION: string = (JSON.parse(readFileSync(findPackageJSON(import.meta.url)!, 'utf8')) as { version: string }).version;
