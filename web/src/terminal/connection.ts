import { type ApiError, fromProblem, toApiError } from "../api/errors";
import { explain } from "../api/messages";
import { Acknowledger, InputQueue } from "./flow";

export interface Size {
  columns: number;
  rows: number;
}

/** How a terminal is doing. `ended` is the program's own end; `lost` is everything else. */
export type TerminalState =
  | { phase: "opening" }
  | { phase: "open" }
  | { phase: "ended"; code: number | null; signal: string | null }
  | { phase: "lost"; reason: string };

export interface ConnectionSettings {
  /** ws: or wss: address of the terminal socket. */
  url: string;
  /** Opens a terminal on the server; resolves to the single-use ticket for the socket. */
  ticket: (size: Size) => Promise<string>;
  /** Called with output; `drawn` must be called once it is on the screen. */
  output: (data: Uint8Array, drawn: () => void) => void;
  changed: (state: TerminalState) => void;
}

/** Milliseconds for a device behind a slow link to open its shell. */
const READY_DEADLINE_MS = 30_000;

/** One terminal's line to the device: bytes both ways, resizing, flow control and its end. */
export class TerminalConnection {
  #settings: ConnectionSettings;
  #state: TerminalState = { phase: "opening" };
  #socket: WebSocket | null = null;
  #input: InputQueue | null = null;
  #size: Size;
  #sentSize: Size;
  #closed = false;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #encoder = new TextEncoder();
  #acknowledger = new Acknowledger((bytes) => this.#control({ type: "ack", bytes }));

  constructor(settings: ConnectionSettings, size: Size) {
    this.#settings = settings;
    this.#size = size;
    this.#sentSize = size;
    this.#deadline = setTimeout(
      () => this.#lose("The device took too long to open a terminal."),
      READY_DEADLINE_MS,
    );
    settings.ticket(size).then(
      (ticket) => this.#connect(ticket),
      (reason) => this.#lose(explain(reason)),
    );
  }

  get state(): TerminalState {
    return this.#state;
  }

  type(text: string): void {
    this.#input?.write(this.#encoder.encode(text));
  }

  /** Input that is bytes already, such as reports of the mouse: one character, one byte. */
  typeBinary(text: string): void {
    this.#input?.write(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  }

  resize(size: Size): void {
    this.#size = size;
    if (this.#state.phase === "open") this.#tellSize();
  }

  close(): void {
    this.#closed = true;
    this.#hangUp();
  }

  #connect(ticket: string): void {
    if (this.#closed || this.#state.phase !== "opening") return;
    const socket = new WebSocket(this.#settings.url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ ticket }));
    socket.onmessage = ({ data }) => {
      if (this.#socket !== socket) return;
      if (data instanceof ArrayBuffer) this.#received(new Uint8Array(data));
      else this.#told(data);
    };
    socket.onclose = () => this.#socket === socket && this.#lose("The connection was lost.");
  }

  #received(data: Uint8Array): void {
    this.#settings.output(data, () => this.#acknowledger.drawn(data.length));
  }

  #told(text: unknown): void {
    const message = parse(text);
    switch (message?.type) {
      case "ready": {
        clearTimeout(this.#deadline);
        const socket = this.#socket;
        if (socket) this.#input = new InputQueue(socket);
        this.#enter({ phase: "open" });
        this.#tellSize();
        return;
      }
      case "exit":
        this.#enter({
          phase: "ended",
          code: typeof message.code === "number" ? message.code : null,
          signal: typeof message.signal === "string" ? message.signal : null,
        });
        this.#hangUp();
        return;
      case "error":
        this.#lose(explain(problem(message)));
        return;
    }
  }

  #tellSize(): void {
    const { columns, rows } = this.#size;
    if (columns === this.#sentSize.columns && rows === this.#sentSize.rows) return;
    this.#sentSize = this.#size;
    this.#control({ type: "resize", columns, rows });
  }

  #control(message: unknown): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #lose(reason: string): void {
    if (this.#closed || this.#state.phase === "ended" || this.#state.phase === "lost") return;
    this.#enter({ phase: "lost", reason });
    this.#hangUp();
  }

  #hangUp(): void {
    clearTimeout(this.#deadline);
    this.#input?.close();
    this.#input = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #enter(state: TerminalState): void {
    this.#state = state;
    if (!this.#closed) this.#settings.changed(state);
  }
}

function parse(text: unknown): Record<string, unknown> | null {
  try {
    const message: unknown = JSON.parse(String(text));
    return typeof message === "object" && message !== null
      ? (message as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function problem(message: unknown): ApiError {
  return toApiError(fromProblem(0, message));
}
