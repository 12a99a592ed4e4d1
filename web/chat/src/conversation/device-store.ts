// Conversations on this device. The current one and the one before it are kept; where the browser denies
// storage (a private window, a full disk), memory takes its place and the page says so.

import type { Conversation } from "./conversation.ts";

export interface ConversationStore {
  /** False where what is kept ends with the page. */
  readonly isLasting: boolean;
  /** Newest first. */
  list(): Promise<Conversation[]>;
  keep(conversation: Conversation): Promise<void>;
  remove(id: string): Promise<void>;
}

const table = "conversations";

export async function openDeviceStore(factory: IDBFactory | null): Promise<ConversationStore> {
  try {
    if (!factory) throw new Error("no IndexedDB");
    const store = new IndexedStore(factory);
    await store.list();
    return store;
  } catch {
    return new MemoryStore();
  }
}

class IndexedStore implements ConversationStore {
  readonly isLasting = true;
  #database: Promise<IDBDatabase> | null = null;

  constructor(private readonly factory: IDBFactory) {}

  async list(): Promise<Conversation[]> {
    const found = await this.#run<Conversation[]>("readonly", (store) => store.getAll());
    return found.sort((one, other) => other.startedAt - one.startedAt);
  }

  async keep(conversation: Conversation): Promise<void> {
    await this.#run("readwrite", (store) => store.put(conversation));
  }

  async remove(id: string): Promise<void> {
    await this.#run("readwrite", (store) => store.delete(id));
  }

  /** One request in one transaction. WebKit closes handles of pages in the background: reopen once. */
  async #run<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest): Promise<T> {
    try {
      return await this.#transact<T>(mode, ask);
    } catch {
      this.#database = null;
      return this.#transact<T>(mode, ask);
    }
  }

  async #transact<T>(
    mode: IDBTransactionMode,
    ask: (store: IDBObjectStore) => IDBRequest,
  ): Promise<T> {
    this.#database ??= opened(this.factory);
    const transaction = (await this.#database).transaction(table, mode);
    const request = ask(transaction.objectStore(table));
    // Without it the commit waits for an event that a page which is being closed never gets.
    transaction.commit();
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result as T);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

class MemoryStore implements ConversationStore {
  readonly isLasting = false;
  readonly #kept = new Map<string, Conversation>();

  async list(): Promise<Conversation[]> {
    return [...this.#kept.values()].sort((one, other) => other.startedAt - one.startedAt);
  }

  async keep(conversation: Conversation): Promise<void> {
    this.#kept.set(conversation.id, conversation);
  }

  async remove(id: string): Promise<void> {
    this.#kept.delete(id);
  }
}

function opened(factory: IDBFactory): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = factory.open("frontdesk", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(table, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
