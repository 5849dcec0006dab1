// The settings of a command that opens an application (`own`: what its own options say), and its configuration. Settings are read twice: they say which
// configuration to load, and that has a say in them.
import type { LoadedConfig } from '../app/load-config.ts';
import { readSettings, type SettingInputs, type Settings } from '../app/settings.ts';
import type { CliDeps } from './cli-deps.ts';
import type { SharedOptions } from './program.ts';

/** @throws AsyncJobError `settings.invalid`, `config.not_found`, `config.load_failed`, `config.invalid` */
export async function loadApplication(
  options: SharedOptions,
  { env, cwd, loadConfig }: Pick<CliDeps, 'env' | 'cwd' | 'loadConfig'>,
  own: SettingInputs = {},
): Promise<{ settings: Settings; loaded: LoadedConfig }> {
  const overrides = { appFile: options.app, logLevel: options.logLevel ?? options.loglevel, ...own };
  const { appFile } = readSettings(env, overrides);
  const loaded = await loadConfig({ file: appFile ?? undefined, cwd });
  return { loaded, settings: readSettings(env, overrides, { engine: loaded.config.engine }) };
}
