import type { TerminalState } from "./connection";

export interface Target {
  deviceId: string;
  deviceName: string;
  /** Null is the device itself. */
  container: string | null;
}

export interface Tab extends Target {
  id: number;
  state: TerminalState;
}

export interface Dock {
  tabs: Tab[];
  active: number | null;
  /** Whether the screens are shown, or only the bar with the tabs. */
  expanded: boolean;
}

/** More terminals than anyone follows; each holds a shell on a device and a scrollback here. */
export const MOST_TABS = 12;

/** Which terminals are open. Lives outside the router, so that going elsewhere ends nothing. */
export class Terminals {
  #dock: Dock = { tabs: [], active: null, expanded: true };
  #next = 1;
  #watchers = new Set<() => void>();

  watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  get = (): Dock => this.#dock;

  /** False when there are too many already. */
  open(target: Target): boolean {
    if (this.#dock.tabs.length >= MOST_TABS) return false;
    const tab: Tab = { ...target, id: this.#next++, state: { phase: "opening" } };
    this.#set({ tabs: [...this.#dock.tabs, tab], active: tab.id, expanded: true });
    return true;
  }

  close(id: number): void {
    const at = this.#dock.tabs.findIndex((tab) => tab.id === id);
    if (at < 0) return;
    const tabs = this.#dock.tabs.filter((tab) => tab.id !== id);
    const neighbour = tabs[Math.min(at, tabs.length - 1)]?.id ?? null;
    this.#set({
      ...this.#dock,
      tabs,
      active: this.#dock.active === id ? neighbour : this.#dock.active,
    });
  }

  show(id: number): void {
    this.#set({ ...this.#dock, active: id, expanded: true });
  }

  expand(expanded: boolean): void {
    this.#set({ ...this.#dock, expanded });
  }

  changed(id: number, state: TerminalState): void {
    const tabs = this.#dock.tabs.map((tab) => (tab.id === id ? { ...tab, state } : tab));
    this.#set({ ...this.#dock, tabs });
  }

  closeAll(): void {
    this.#set({ tabs: [], active: null, expanded: true });
  }

  #set(dock: Dock): void {
    this.#dock = dock;
    for (const watcher of [...this.#watchers]) watcher();
  }
}

export const terminals = new Terminals();
