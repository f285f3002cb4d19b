/** One change that the server tells about. `seq` counts up by topic. */
export interface LiveEvent {
  topic: string;
  seq: number;
  ts: string;
  type: string;
  data: unknown;
}

export interface Listener {
  event: (event: LiveEvent) => void;
  /** What was missed can't be replayed: ask for the whole state again. */
  resync: () => void;
}

export type LivePhase = "idle" | "connecting" | "live" | "lost";

export interface HubSettings {
  /** ws: or wss: address of the hub. */
  url: string;
  /** Fetches a single-use ticket; it expires after 30 seconds. */
  ticket: () => Promise<string>;
  /** Number in [0, 1) that spreads reconnections of many consoles. */
  random?: () => number;
}

/** Milliseconds: the first pause before connecting again, and the longest: people watch this. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;
/** Milliseconds from dialling to `ready`; a socket that takes longer is dead. */
const READY_DEADLINE_MS = 10_000;
/**
 * Milliseconds without a word after which a live socket is dead. The hub says something every two
 * seconds; a network that drops packets in silence closes no socket, and pings can't be seen here.
 */
export const SILENCE_MS = 5_000;

/**
 * The console's one connection to the hub. It is kept up from sign-in to sign-out, whether or not
 * anything is subscribed, so that its state honestly says whether what is shown is live.
 */
export class HubSocket {
  #settings: HubSettings;
  #topics = new Map<string, { listeners: Set<Listener>; seq: number | null }>();
  #watchers = new Set<() => void>();
  #phase: LivePhase = "idle";
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #heardAt = Number.NEGATIVE_INFINITY;
  /** Raised by each attempt and by `stop`, so that answers to older attempts are ignored. */
  #attempt = 0;

  constructor(settings: HubSettings) {
    this.#settings = settings;
  }

  get phase(): LivePhase {
    return this.#phase;
  }

  getPhase = (): LivePhase => this.#phase;

  /** Milliseconds since the hub last said anything. */
  silentFor = (): number => performance.now() - this.#heardAt;

  watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  start(): void {
    if (this.#phase !== "idle") return;
    globalThis.addEventListener?.("online", this.#hurry);
    globalThis.addEventListener?.("offline", this.#dropped);
    this.#enter("connecting");
    void this.#connect();
  }

  stop(): void {
    globalThis.removeEventListener?.("online", this.#hurry);
    globalThis.removeEventListener?.("offline", this.#dropped);
    this.#attempt += 1;
    clearTimeout(this.#timer);
    this.#close();
    this.#failures = 0;
    for (const topic of this.#topics.values()) topic.seq = null;
    this.#enter("idle");
  }

  subscribe(name: string, listener: Listener): () => void {
    let topic = this.#topics.get(name);
    if (!topic) {
      topic = { listeners: new Set(), seq: null };
      this.#topics.set(name, topic);
      if (this.#phase === "live") this.#send({ op: "sub", topic: name });
    }
    topic.listeners.add(listener);
    return () => {
      const current = this.#topics.get(name);
      if (!current?.listeners.delete(listener) || current.listeners.size > 0) return;
      this.#topics.delete(name);
      if (this.#phase === "live") this.#send({ op: "unsub", topic: name });
    };
  }

  async #connect(): Promise<void> {
    const attempt = ++this.#attempt;
    clearTimeout(this.#timer);
    let ticket: string;
    try {
      ticket = await this.#settings.ticket();
    } catch {
      if (attempt === this.#attempt) this.#retry();
      return;
    }
    if (attempt !== this.#attempt) return;
    const socket = new WebSocket(this.#settings.url);
    this.#socket = socket;
    const mine = () => this.#socket === socket;
    this.#timer = setTimeout(() => mine() && this.#dropped(), READY_DEADLINE_MS);
    socket.onopen = () => socket.send(JSON.stringify({ ticket }));
    socket.onmessage = (message) => mine() && this.#received(message.data);
    socket.onclose = () => mine() && this.#dropped();
  }

  #received(data: unknown): void {
    this.#heardAt = performance.now();
    if (this.#phase === "live") this.#expectMore();
    const message = parse(data);
    if (!message) return;
    if (message.type === "ready") {
      this.#ready();
      return;
    }
    const name = typeof message.topic === "string" ? message.topic : null;
    const topic = name === null ? undefined : this.#topics.get(name);
    if (!topic) return;
    if (message.type === "resync") {
      topic.seq = typeof message.seq === "number" ? message.seq : null;
      for (const listener of [...topic.listeners]) listener.resync();
      return;
    }
    if (typeof message.seq !== "number" || typeof message.type !== "string") return;
    const known = topic.seq;
    // A replay may overlap with what came before the line dropped.
    if (message.seq === known) return;
    topic.seq = message.seq;
    // Counting from the start again means a new server: whatever it told before is unknown.
    if (known !== null && message.seq < known) {
      for (const listener of [...topic.listeners]) listener.resync();
    }
    for (const listener of [...topic.listeners]) listener.event(message as unknown as LiveEvent);
  }

  #expectMore(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#dropped, SILENCE_MS);
  }

  #ready(): void {
    this.#expectMore();
    // Only the server's acceptance counts as success: a socket that opens and drops must back off.
    this.#failures = 0;
    this.#enter("live");
    for (const [name, topic] of this.#topics) {
      if (topic.seq !== null) this.#send({ op: "sub", topic: name, since: topic.seq });
      else {
        this.#send({ op: "sub", topic: name });
        // What happened between the page's snapshot and this subscription was told to nobody.
        for (const listener of [...topic.listeners]) listener.resync();
      }
    }
  }

  #send(message: unknown): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #dropped = (): void => {
    if (this.#phase === "idle") return;
    this.#close();
    this.#retry();
  };

  #hurry = (): void => {
    if (this.#phase === "idle" || this.#phase === "live") return;
    this.#close();
    this.#failures = 0;
    void this.#connect();
  };

  #retry(): void {
    this.#enter("lost");
    const ceiling = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures += 1;
    const pause = ceiling * (this.#settings.random ?? Math.random)();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#connect(), pause);
  }

  #close(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #enter(phase: LivePhase): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    for (const watcher of [...this.#watchers]) watcher();
  }
}

function parse(data: unknown): Record<string, unknown> | null {
  if (typeof data !== "string") return null;
  try {
    const message: unknown = JSON.parse(data);
    return typeof message === "object" && message !== null
      ? (message as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
