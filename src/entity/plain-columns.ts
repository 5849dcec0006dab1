// MikroORM gives each entity an accessor of its own for each column that is assigned, some thirty per job: half of the time
// in which a row becomes a job. They only store the value (relations, which really watch it, have theirs from elsewhere), so
// that a job goes without, as every entity does under MikroORM's own `propagationOnPrototype: false`.
import { ReferenceKind, type EntityMetadata } from '@mikro-orm/core';

/** Entities that exist already keep what they have. */
export function makeColumnsPlain(meta: EntityMetadata): void {
  for (const { name, kind } of meta.props) {
    if (kind !== ReferenceKind.SCALAR) continue;
    for (let prototype = meta.prototype as object; prototype !== Object.prototype; prototype = Object.getPrototypeOf(prototype)) {
      const accessor = Object.getOwnPropertyDescriptor(prototype, name);
      // MikroORM's: what people write to be set can be got as well.
      if (accessor?.set && !accessor.get && accessor.configurable) Reflect.deleteProperty(prototype, name);
    }
  }
}
