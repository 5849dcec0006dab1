// The settings of a process as facts: each with its value, as far as it is no secret, and where it came from.
import { SETTING_NAMES, SETTINGS, type SettingName, type Settings } from '../app/settings.ts';
import type { Config } from '../app/config.ts';
import type { TemporalSettings } from '../temporal/connection.ts';
import type { SettingFact } from './facts.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** `databaseUrl` is read only by applications that name no database themselves: `usesDatabaseUrl`. */
export function settingFacts(settings: Settings, usesDatabaseUrl: boolean | null): SettingFact[] {
  return SETTING_NAMES.map((name) => ({
    name,
    value: valueOf(name, settings),
    source: settings.sources[name],
    env: SETTINGS[name].env,
    ...(name === 'databaseUrl' && settings.databaseUrl !== null && usesDatabaseUrl === false
      ? { note: 'not used: the configuration names its database' }
      : {}),
  }));
}

function valueOf(name: SettingName, settings: Settings): string {
  const value = settings[name];
  if (value === null) return '(not set)';
  if (name === 'databaseUrl') return withoutPassword(String(value));
  if (name.endsWith('Ms')) return `${Number(value) / 1_000} s`;
  return Array.isArray(value) ? value.join(', ') : String(value);
}

/** The address with everything hidden that may be secret: password and parameters. */
export function withoutPassword(url: string): string {
  try {
    const { protocol, username, password, host, pathname } = new URL(url);
    const user = username === '' ? '' : `${username}${password === '' ? '' : ':***'}@`;
    return `${protocol}//${user}${host}${pathname}`;
  } catch {
    return '(hidden: it is no address)';
  }
}

/** Temporal's own settings: of the configuration, TEMPORAL_* or the profile file. */
export function temporalSettingFacts(config: Config, resolved: TemporalSettings, env: Env): SettingFact[] {
  const given = config.temporal ?? {};
  const { apiKey, tls } = resolved.connectionOptions;
  const isInEnvironment = (prefix: string) => Object.keys(env).some((name) => name.startsWith(prefix) && env[name]);
  const fact = (name: keyof typeof given, variable: string, value: string, isDefault: boolean): SettingFact => ({
    name: `temporal.${name}`,
    value,
    source: given[name] !== undefined ? 'config' : isInEnvironment(variable) ? 'environment' : isDefault ? 'default' : 'profile',
    env: variable,
  });
  return [
    fact('address', 'TEMPORAL_ADDRESS', resolved.address, resolved.address === 'localhost:7233'),
    fact('namespace', 'TEMPORAL_NAMESPACE', resolved.namespace, resolved.namespace === 'default'),
    // On by itself with an API key. Several variables turn it on.
    fact('tls', 'TEMPORAL_TLS', tls === undefined || tls === false ? 'off' : 'on', tls === undefined || apiKey !== undefined),
    fact('apiKey', 'TEMPORAL_API_KEY', apiKey === undefined ? '(not set)' : '(set, hidden)', apiKey === undefined),
  ];
}
