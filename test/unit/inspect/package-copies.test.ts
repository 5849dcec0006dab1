import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { judge } from '../../../src/inspect/judge.ts';
import { findPackageCopies, LIBRARY } from '../../../src/inspect/package-copies.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { healthy } from './facts.ts';

/** Installs packages in name only: their manifests. */
function install(folder: string, name: string, version: string, manifest: object = {}): void {
  const place = path.join(folder, 'node_modules', name);
  mkdirSync(place, { recursive: true });
  writeFileSync(path.join(place, 'package.json'), JSON.stringify({ name, version, ...manifest }));
}

it('finds one copy of each package of this tree', () => {
  const { node, copies } = findPackageCopies({ asyncjob: LIBRARY });
  expect(node).toBe(process.versions.node);
  expect(copies.filter(({ name }) => name === '@mikro-orm/core')).toMatchObject([
    { usedBy: expect.arrayContaining(['asyncjob', '@mikro-orm/postgresql']) as string[] },
  ]);
  expect(copies.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['asyncjob', '@temporalio/core-bridge', '@temporalio/proto', 'kysely']),
  );
  expect(copies.map(({ name }) => name)).toEqual([...new Set(copies.map(({ name }) => name))]);
});

it('finds the second versions and copies that an application would load', async () => {
  const folder = await temporaryFolder({});
  install(folder, '@temporalio/client', '1.23.0', { dependencies: { '@temporalio/common': '1.23.0', '@grpc/grpc-js': '1' } });
  install(path.join(folder, 'node_modules/@temporalio/client'), '@temporalio/common', '1.22.0');
  install(folder, '@mikro-orm/core', '7.2.1');
  install(folder, '@mikro-orm/postgresql', '7.2.1', {
    dependencies: { '@mikro-orm/sql': '7.2.1' },
    peerDependencies: { '@mikro-orm/core': '7' },
  });
  install(folder, '@mikro-orm/sql', '7.2.1', { dependencies: { kysely: '0.29.6' } });
  install(folder, 'kysely', '0.29.6');
  install(folder, 'asyncjob', '0.0.1');
  const packages = findPackageCopies({ application: path.join(folder, 'asyncjob.config.js'), asyncjob: LIBRARY });
  const versionsOf = (name: string) => packages.copies.filter((copy) => copy.name === name).map(({ version }) => version);
  expect(versionsOf('@temporalio/common')).toEqual(expect.arrayContaining(['1.22.0', '1.24.0']));
  expect(versionsOf('@mikro-orm/core')).toHaveLength(2);
  expect(versionsOf('kysely')).toContain('0.29.6');
  expect(packages.copies.find(({ version }) => version === '1.22.0')!.usedBy).toEqual(['@temporalio/client']);
  const levels = Object.fromEntries(judge(healthy({ packages })).map(({ code, level }) => [code, level]));
  expect(levels).toMatchObject({ 'packages.asyncjob': 'problem', 'packages.temporal': 'problem', 'packages.mikro_orm': 'problem' });
});
