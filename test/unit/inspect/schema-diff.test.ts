import { describe, expect, it } from 'vitest';
import { onlyRemoves, statementsAbout } from '../../../src/inspect/schema-diff.ts';

const SCRIPT = `create table "mail" ("id" uuid not null);
create index "mail_created_at_index" on "mail" ("created_at");
create index "mail_log_at_index" on "mail_log" ("at");
create unique index "x" on "app"."mail" ("a");

create table "customer" ("id" serial primary key);
alter table "mail" add "to" text null;
alter table "mail_log" add "to" text null;
alter table "customer" add constraint "c" foreign key ("mail_id") references "mail" ("id");
drop index "mail_old_index";
drop index "mail_log_old_index";
comment on table "mail" is 'letters';

drop type "mood";
drop view if exists "async_job_view";
create view "async_job_view" as select 'Mail'::text as job_type, "id" from "mail"
  union all select 'X'::text as job_type, "id" from "x";
`;

it('keeps the statements about some tables, their indexes and views', () => {
  const found = statementsAbout(SCRIPT, ['mail', 'async_job_view'], ['mail', 'mail_log', 'customer', 'async_job_view']);
  expect(found.map((statement) => statement.slice(0, 40))).toEqual([
    'create table "mail" ("id" uuid not null)',
    'create index "mail_created_at_index" on ',
    'create unique index "x" on "app"."mail" ',
    'alter table "mail" add "to" text null',
    'drop index "mail_old_index"',
    'comment on table "mail" is \'letters\'',
    'drop view if exists "async_job_view"',
    'create view "async_job_view" as select \'',
  ]);
});

it('of an empty script keeps nothing', () => expect(statementsAbout('', ['mail'], ['mail'])).toEqual([]));

describe('onlyRemoves', () => {
  it.each([
    ['alter table "mail" drop column "a"', true],
    ['alter table "app"."mail" drop column "a", drop column "b"', true],
    ['alter table "mail" drop constraint "mail_status_check"', true],
    ['drop index "mail_x_index"', true],
    ['alter table "mail" add "a" text null', false],
    ['alter table "mail" drop column "a", add "b" text null', false],
    ['alter table "mail" alter column "a" drop default', false],
    ['drop view if exists "async_job_view"', false],
  ])('%s: %s', (statement, expected) => expect(onlyRemoves(statement)).toBe(expected));
});
