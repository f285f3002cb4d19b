import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  ACK_EVERY_BYTES,
  Acknowledger,
  INPUT_BUFFER_BYTES,
  INPUT_CHUNK_BYTES,
  InputQueue,
  type InputSocket,
} from "./flow";

/** What the server allows unacknowledged before it pauses, and below which it goes on. */
const SERVER_HIGH = 512 * 1024;
const SERVER_LOW = 128 * 1024;

describe("acknowledging", () => {
  it("counts every byte once and in steps", () => {
    const acknowledged: number[] = [];
    const flow = new Acknowledger((bytes) => acknowledged.push(bytes));
    let drawn = 0;
    for (let size = 1; size < 3000; size += 7) {
      flow.drawn(size);
      drawn += size;
    }
    const sum = acknowledged.reduce((total, bytes) => total + bytes, 0);
    expect(drawn - sum).toBeGreaterThanOrEqual(0);
    expect(drawn - sum).toBeLessThan(ACK_EVERY_BYTES);
    expect(Math.min(...acknowledged)).toBeGreaterThanOrEqual(ACK_EVERY_BYTES);
  });

  it("never leaves a paused server waiting for the rest", () => {
    let unacknowledged = 0;
    const flow = new Acknowledger((bytes) => {
      unacknowledged -= bytes;
    });
    while (unacknowledged < SERVER_HIGH) {
      unacknowledged += 1000;
    }
    for (let left = unacknowledged; left > 0; left -= 1000) flow.drawn(Math.min(1000, left));
    expect(unacknowledged).toBeLessThan(SERVER_LOW);
  });
});

class Socket implements InputSocket {
  bufferedAmount = 0;
  sent: number[] = [];
  send(data: Uint8Array): void {
    this.bufferedAmount += data.length;
    this.sent.push(...data);
  }
}

describe("input", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("goes out at once", () => {
    const socket = new Socket();
    new InputQueue(socket).write(new Uint8Array([108, 115, 13]));
    expect(socket.sent).toEqual([108, 115, 13]);
  });

  it("waits for a slow socket and arrives whole and in order", () => {
    const socket = new Socket();
    const queue = new InputQueue(socket);
    const paste = Uint8Array.from({ length: 500_000 }, (_, at) => (at * 31) % 251);
    queue.write(paste);
    queue.write(new Uint8Array([255]));
    expect(socket.bufferedAmount).toBeLessThanOrEqual(INPUT_BUFFER_BYTES + INPUT_CHUNK_BYTES);
    while (socket.sent.length < paste.length + 1) {
      socket.bufferedAmount = 0;
      vi.advanceTimersByTime(20);
    }
    expect(Uint8Array.from(socket.sent.slice(0, -1))).toEqual(paste);
    expect(socket.sent.at(-1)).toBe(255);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is dropped with the connection", () => {
    const socket = new Socket();
    const queue = new InputQueue(socket);
    queue.write(new Uint8Array(400_000));
    const sent = socket.sent.length;
    queue.close();
    socket.bufferedAmount = 0;
    vi.advanceTimersByTime(1000);
    expect(socket.sent).toHaveLength(sent);
  });
});
