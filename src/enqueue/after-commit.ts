// Runs callbacks after the outermost commit of the transaction they were added in, or others when it is rolled back.
// MikroORM fires transaction events for savepoints too: what was added inside one moves to its parent.
import type { EntityManager, Transaction, TransactionEventArgs } from '@mikro-orm/core';

type Callback = () => unknown;

interface Callbacks {
  committed: Callback[];
  rolledBack: (() => void)[];
}

export class AfterCommit {
  readonly #parentOf = new WeakMap<object, object>();
  readonly #startingIn = new WeakMap<object, object>();
  readonly #callbacks = new WeakMap<object, Callbacks>();
  readonly #report: (error: unknown) => void;

  /** `report` hears what callbacks throw: the row is committed, so the caller must not. */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Runs `callback` after the commit; false, and nothing is done, when `em` is in no transaction. */
  add(em: EntityManager, callback: Callback): boolean {
    const transaction = em.getTransactionContext() as object | undefined;
    if (!transaction) return false;
    this.#of(transaction).committed.push(callback);
    return true;
  }

  /** Runs `undo` when the transaction of `em`, or one around it, is rolled back: the last one first. */
  onRollback(em: EntityManager, undo: () => void): void {
    const transaction = em.getTransactionContext() as object | undefined;
    if (transaction) this.#of(transaction).rolledBack.push(undo);
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
      const inherited = this.#of(parent);
      inherited.committed.push(...callbacks.committed);
      inherited.rolledBack.push(...callbacks.rolledBack);
      return;
    }
    for (const callback of callbacks.committed) {
      try {
        await callback();
      } catch (error) {
        this.#report(error);
      }
    }
  }

  // Before, since there is no after when the connection is gone.
  beforeTransactionRollback({ transaction }: TransactionEventArgs): void {
    const callbacks = transaction && this.#callbacks.get(transaction);
    if (!callbacks) return;
    this.#callbacks.delete(transaction);
    for (const undo of callbacks.rolledBack.toReversed()) undo();
  }

  #of(transaction: object): Callbacks {
    let callbacks = this.#callbacks.get(transaction);
    if (!callbacks) this.#callbacks.set(transaction, (callbacks = { committed: [], rolledBack: [] }));
    return callbacks;
  }
}

const isSavepoint = (transaction: Transaction): boolean => 'savepointName' in (transaction as object);
