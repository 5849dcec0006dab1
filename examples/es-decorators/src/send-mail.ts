import { Entity, Property } from '@mikro-orm/decorators/es';
import { AsyncJob } from 'asyncjob';

@Entity()
export class SendMail extends AsyncJob {
  static override jobType = 'SendMail'; // stays when the class is renamed or minified
  static override defaultQueue = 'mail';

  @Property({ type: 'text' })
  recipient!: string;

  @Property({ type: 'text' })
  subject!: string;

  @Property({ type: 'text', nullable: true })
  sent?: string | null;
}
