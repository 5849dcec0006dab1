import { describe, expect, it } from 'vitest';
import { defineConfig, type Config } from '../../../src/app/config.ts';

describe('defineConfig', () => {
  it('returns the configuration itself', () => {
    const config: Config = {
      name: 'shop-1',
      orm: () => ({ clientUrl: 'postgres://localhost/shop' }),
      handlers: ['**/*.jobs.EXT'],
      setup: () => async () => {},
      temporal: { address: 'localhost:7233', namespace: 'default', tls: true, apiKey: 'key' },
      engine: 'inline',
      defaults: { retry: { maximumAttempts: 3 } },
    };
    expect(defineConfig(config)).toBe(config);
  });

  it('lists every problem at once', () => {
    const act = () =>
      defineConfig({
        name: 'my shop',
        handler: [],
        handlers: 'handlers.ts',
        setup: true,
        temporal: { adress: 'x', namespace: '', apiKey: 5 },
        engine: 'inlin',
        defaults: { retry: { maximumAttempts: -1 } },
      } as never);
    expect(act).toThrow(expect.objectContaining({ code: 'settings.invalid' }));
    expect(act).toThrow(
      [
        'settings.invalid: configuration, 10 problems:',
        "  - name: 'my shop' is no name of letters, digits, '.', '_' and '-'",
        "  - 'handler' is unknown; did you mean 'handlers'?",
        "  - handlers: 'handlers.ts' is no list of glob patterns: write ['**/*.jobs.EXT']",
        '  - setup: true is no function',
        "  - engine: 'inlin' is unknown; did you mean 'inline'?",
        '  - defaults.retry.maximumAttempts: -1 is no whole number from 1 on (or Infinity for no limit)',
        '  - orm is missing: give MikroORM options, a MikroORM, or a function that returns one',
        "  - temporal: 'adress' is unknown; did you mean 'address'?",
        "  - temporal.namespace: '' is no text like 'default'",
        '  - temporal.apiKey: is no text',
      ].join('\n'),
    );
  });

  it('never shows a secret', () => {
    expect(() => defineConfig({ orm: {}, temporal: { apiKey: ['s3cret'] } } as never)).not.toThrow(/s3cret/);
  });

  it.each([[undefined], [null], ['postgres://localhost/shop']])('refuses %o', (config) => {
    expect(() => defineConfig(config as never)).toThrow(/is no object/);
  });
});
