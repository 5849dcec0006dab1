import 'reflect-metadata';
import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { AsyncJob } from 'asyncjob';

@Entity()
export class SendMail extends AsyncJob {
  static override jobType = 'SendMail'; // stays when the class is renamed or minified
  static override defaultQueue = 'mail';

  @Property()
  recipient!: string;

  @Property()
  subject!: string;

  @Property({ type: 'text', nullable: true })
  sent?: string | null;
}
