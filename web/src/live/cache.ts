import type { QueryClient, QueryKey } from "@tanstack/react-query";

type Update = (old: unknown) => unknown;

/**
 * Puts live updates into the query cache. While a snapshot of the same thing is on its way, the
 * updates wait: the snapshot may be older than they are, and writing it would undo them.
 */
export class LiveCache {
  #queries: QueryClient;
  #held = new Map<string, { key: QueryKey; updates: Update[] }>();
  /** Hashes of queries to read once more when the reading under way is over. */
  #again = new Set<string>();
  #unwatch: () => void;

  constructor(queries: QueryClient) {
    this.#queries = queries;
    this.#unwatch = queries.getQueryCache().subscribe((event) => {
      if (event.type !== "updated" || event.query.state.fetchStatus !== "idle") return;
      this.#release(event.query.queryHash);
      if (this.#again.delete(event.query.queryHash)) this.refetch(event.query.queryKey);
    });
  }

  close(): void {
    this.#unwatch();
    this.#held.clear();
    this.#again.clear();
  }

  /** Applies `update` to what is cached under exactly `key`; nothing cached, nothing done. */
  apply<T>(key: QueryKey, update: (old: T) => T): void {
    const query = this.#queries.getQueryCache().find({ queryKey: key, exact: true });
    if (!query) return;
    if (query.state.fetchStatus !== "idle") {
      const held = this.#held.get(query.queryHash) ?? { key, updates: [] };
      held.updates.push(update as Update);
      this.#held.set(query.queryHash, held);
      return;
    }
    this.#write(key, update as Update);
  }

  /**
   * Has everything below `key` read again. A reading under way is followed by another one rather
   * than given up: on a slow link, events that come faster than answers would starve the page.
   */
  refetch(key: QueryKey): void {
    for (const query of this.#queries.getQueryCache().findAll({ queryKey: key })) {
      if (query.state.fetchStatus !== "idle") this.#again.add(query.queryHash);
      else void this.#queries.invalidateQueries({ queryKey: query.queryKey, exact: true });
    }
  }

  #release(hash: string): void {
    const held = this.#held.get(hash);
    if (!held) return;
    this.#held.delete(hash);
    for (const update of held.updates) this.#write(held.key, update);
  }

  #write(key: QueryKey, update: Update): void {
    this.#queries.setQueryData(key, (old: unknown) => (old === undefined ? old : update(old)));
  }
}
