// Development servers: what the demo and tests start.
export { startPostgres, type PostgresOptions, type PostgresServer } from './embedded-postgres-server.ts';
export { cacheFolder, findTemporalCli, type FindTemporalCliOptions, type TemporalCli } from './temporal-cli.ts';
export { startTemporal, type TemporalOptions, type TemporalServer } from './temporal-dev-server.ts';
export { freePorts, isPortFree } from './free-port.ts';
