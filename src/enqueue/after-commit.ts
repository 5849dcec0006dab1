// Runs callbacks after the outermost commit of the transaction they were added in, and never after a rollback.
// MikroORM fires transaction events for savepoints too: what was added inside one moves to its parent.
import type { EntityManager, EventSubscriber, Transaction, TransactionEventArgs } from '@mikro-orm/core';

type Callback = () => unknown;

export class AfterCommit implements EventSubscriber {
  readonly #parentOf = new WeakMap<object, object>();
  readonly #startingIn = new WeakMap<object, object>();
  readonly #callbacks = new WeakMap<object, Callback[]>();
  readonly #report: (error: unknown) => void;

  /** `report` hears what callbacks throw: the row is committed, so the caller must not. */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Runs `callback` after the commit; false, and nothing is done, when `em` is in no transaction. */
  add(em: EntityManager, callback: Callback): boolean {
    const transaction = em.getTransactionContext() as object | undefined;
    if (!transaction) return false;
    this.#queue(transaction).push(callback);
    return true;
  }

  beforeTransactionStart({ em, transaction }: TransactionEventArgs): void {
    if (transaction) this.#startingIn.set(em, transaction);
    else this.#startingIn.delete(em);
  }

  afterTransactionStart({ em, transaction }: TransactionEventArgs): void {
    const parent = this.#startingIn.get(em);
    if (parent && transaction && isSavepoint(transaction)) this.#parentOf.set(transaction, parent);
  }

  async afterTransactionCommit({ transaction }: TransactionEventArgs): Promise<void> {
    const callbacks = transaction && this.#callbacks.get(transaction);
    if (!callbacks) return;
    this.#callbacks.delete(transaction);
    const parent = this.#parentOf.get(transaction);
    if (parent) {
      this.#queue(parent).push(...callbacks);
      return;
    }
    for (const callback of callbacks) {
      try {
        await callback();
      } catch (error) {
        this.#report(error);
      }
    }
  }

  afterTransactionRollback({ transaction }: TransactionEventArgs): void {
    if (transaction) this.#callbacks.delete(transaction);
  }

  #queue(transaction: object): Callback[] {
    let callbacks = this.#callbacks.get(transaction);
    if (!callbacks) this.#callbacks.set(transaction, (callbacks = []));
    return callbacks;
  }
}

const isSavepoint = (transaction: Transaction): boolean => 'savepointName' in (transaction as object);
