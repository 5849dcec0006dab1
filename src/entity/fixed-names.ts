// The library's own tables are called the same whatever naming strategy the application has, since the mirror's
// statements name their columns. The tables of job classes follow the application's strategy.
import { UnderscoreNamingStrategy } from '@mikro-orm/core';

const naming = new UnderscoreNamingStrategy();

/** The column of one of the library's own tables that keeps `property`. */
export function columnOf(property: string): string {
  return naming.propertyToColumnName(property);
}

/** Properties of an entity, each with its column. */
export function withFixedNames<P extends Record<string, object>>(properties: P): { [K in keyof P]: P[K] & { fieldName: string } } {
  const named = Object.entries(properties).map(([property, definition]) => [property, { ...definition, fieldName: columnOf(property) }]);
  return Object.fromEntries(named) as { [K in keyof P]: P[K] & { fieldName: string } };
}
