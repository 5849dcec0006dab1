// Help for a command line option that stands for a setting: the table of settings says it.
import { describeSetting, type SettingName } from '../app/settings.ts';

export function describeOption(name: SettingName): string {
  const { env, help, default: value } = describeSetting(name);
  return `${help} (default: ${value}; env: ${env})`;
}
