// Which errors of PostgreSQL are which, for those who do not know PostgreSQL.
import { isSchemaError, isTransientDatabaseError, isValueError } from '../mirror/transient.ts';

export const DATABASE_ERRORS = { isTransient: isTransientDatabaseError, isSchemaError, isValueError };
