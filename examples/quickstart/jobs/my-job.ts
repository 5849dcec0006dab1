// #region my-job
import { asyncJob, p } from 'asyncjob';

export class MyJob extends asyncJob('MyJob', {
  // own columns: MikroORM property builders
  myField: p.integer().nullable(),
  result: p.string().length(128).nullable(),
}) {
  static override defaultQueue = 'my_queue'; // 'default' otherwise
}
// #endregion
