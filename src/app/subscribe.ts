// What open applications hear of an ORM's flushes and transactions. MikroORM has no way to unregister a subscriber: each ORM
// gets one, once, that passes on to those who are open.
import type { EventManager, EventSubscriber, FlushEventArgs, TransactionEventArgs } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/postgresql';
import type { AfterCommit } from '../enqueue/after-commit.ts';
import type { LifecycleGuard } from '../entity/lifecycle-guard.ts';

interface Listener {
  afterCommit: AfterCommit;
  guard: LifecycleGuard;
}

const ofEventManagers = new WeakMap<EventManager, Subscriber>();

/** Returns the function that ends it. */
export function subscribe(orm: MikroORM, listener: Listener): () => void {
  const events = orm.em.getEventManager();
  let subscriber = ofEventManagers.get(events);
  if (!subscriber) {
    ofEventManagers.set(events, (subscriber = new Subscriber()));
    events.registerSubscriber(subscriber);
  }
  const { listeners } = subscriber;
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

class Subscriber implements EventSubscriber {
  readonly listeners = new Set<Listener>();

  async onFlush(args: FlushEventArgs): Promise<void> {
    for (const { guard } of this.listeners) await guard.onFlush(args);
  }

  beforeTransactionStart(args: TransactionEventArgs): void {
    for (const { afterCommit } of this.listeners) afterCommit.beforeTransactionStart(args);
  }

  afterTransactionStart(args: TransactionEventArgs): void {
    for (const { afterCommit } of this.listeners) afterCommit.afterTransactionStart(args);
  }

  async afterTransactionCommit(args: TransactionEventArgs): Promise<void> {
    for (const { afterCommit } of this.listeners) await afterCommit.afterTransactionCommit(args);
  }

  beforeTransactionRollback(args: TransactionEventArgs): void {
    for (const { afterCommit } of this.listeners) afterCommit.beforeTransactionRollback(args);
  }
}
