import { vi } from "vitest";

/** Stands where the browser's WebSocket would: the test is the server. */
export class FakeWebSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  static all: FakeWebSocket[] = [];

  readonly url: string;
  readyState = 0;
  bufferedAmount = 0;
  binaryType = "blob";
  closed = false;
  /** JSON messages that were sent, parsed. */
  sent: unknown[] = [];
  /** Binary messages that were sent. */
  bytes: Uint8Array[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;

  static install(): void {
    FakeWebSocket.all = [];
    vi.stubGlobal("WebSocket", FakeWebSocket);
  }

  static last(): FakeWebSocket {
    const socket = FakeWebSocket.all.at(-1);
    if (!socket) throw new Error("nobody has connected");
    return socket;
  }

  constructor(url: string) {
    this.url = url;
    FakeWebSocket.all.push(this);
  }

  send(data: string | Uint8Array): void {
    if (this.readyState !== FakeWebSocket.OPEN) throw new Error("the socket is not open");
    if (typeof data === "string") this.sent.push(JSON.parse(data));
    else this.bytes.push(data);
  }

  close(): void {
    this.closed = true;
    this.readyState = FakeWebSocket.CLOSED;
  }

  open(): void {
    this.readyState = FakeWebSocket.OPEN;
    this.onopen?.();
  }

  receive(message: unknown): void {
    this.receiveText(JSON.stringify(message));
  }

  receiveText(data: string): void {
    this.onmessage?.({ data });
  }

  receiveBytes(data: Uint8Array): void {
    this.onmessage?.({ data: data.slice().buffer });
  }

  drop(): void {
    this.readyState = FakeWebSocket.CLOSED;
    this.onclose?.();
  }
}
