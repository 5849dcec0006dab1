import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';

export const orm = {
  clientUrl: process.env['DATABASE_URL'] ?? 'postgres://localhost:5432/app',
  metadataProvider: ReflectMetadataProvider, // reads the types that emitDecoratorMetadata wrote
};
