import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../api/errors";
import { FakeWebSocket } from "../test/fake-websocket";
import { type Size, TerminalConnection, type TerminalState } from "./connection";
import { endedWords } from "./ended";
import { ACK_EVERY_BYTES } from "./flow";

let states: TerminalState[];
let output: { data: Uint8Array; drawn: () => void }[];
let asked: Size[];

beforeEach(() => {
  vi.useFakeTimers();
  FakeWebSocket.install();
  states = [];
  output = [];
  asked = [];
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function connect(ticket: () => Promise<string> = async () => "single-use") {
  return new TerminalConnection(
    {
      url: "wss://console.example/ws/term",
      ticket: (size) => {
        asked.push(size);
        return ticket();
      },
      output: (data, drawn) => output.push({ data, drawn }),
      changed: (state) => states.push(state),
    },
    { columns: 80, rows: 24 },
  );
}

async function open() {
  const connection = connect();
  await vi.advanceTimersByTimeAsync(0);
  const socket = FakeWebSocket.last();
  socket.open();
  socket.receive({ type: "ready" });
  return { connection, socket };
}

const bytes = (text: string) => new TextEncoder().encode(text);

describe("opening", () => {
  it("asks with its size and presents the ticket first", async () => {
    const { socket } = await open();
    expect(asked).toEqual([{ columns: 80, rows: 24 }]);
    expect(socket.sent).toEqual([{ ticket: "single-use" }]);
    expect(states).toEqual([{ phase: "open" }]);
  });

  it("tells the size that was changed meanwhile", async () => {
    const connection = connect();
    connection.resize({ columns: 100, rows: 30 });
    await vi.advanceTimersByTimeAsync(0);
    const socket = FakeWebSocket.last();
    socket.open();
    connection.resize({ columns: 120, rows: 40 });
    expect(socket.sent).toHaveLength(1);
    socket.receive({ type: "ready" });
    expect(socket.sent.at(-1)).toEqual({ type: "resize", columns: 120, rows: 40 });
    connection.resize({ columns: 120, rows: 40 });
    expect(socket.sent).toHaveLength(2);
  });

  it("says why a device that is offline has no terminal", async () => {
    connect(() =>
      Promise.reject(new ApiError({ code: "device_offline", status: 503, detail: "x" })),
    );
    await vi.advanceTimersByTimeAsync(0);
    expect(states).toEqual([
      { phase: "lost", reason: "The device is offline. Try again when it is back." },
    ]);
    expect(FakeWebSocket.all).toHaveLength(0);
  });

  it("gives up after its deadline", async () => {
    connect(() => new Promise(() => {}));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(states.map((state) => state.phase)).toEqual(["lost"]);
  });

  it("connects nowhere when it was closed meanwhile", async () => {
    connect().close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeWebSocket.all).toHaveLength(0);
    expect(states).toEqual([]);
  });
});

describe("an open terminal", () => {
  it("carries bytes both ways", async () => {
    const { connection, socket } = await open();
    connection.type("grüß\r");
    connection.typeBinary("\x1b[M\xff");
    expect(socket.bytes.map((each) => [...each])).toEqual([
      [...bytes("grüß\r")],
      [0x1b, 0x5b, 0x4d, 0xff],
    ]);
    socket.receiveBytes(bytes("hello"));
    expect(new TextDecoder().decode(output[0]?.data)).toBe("hello");
  });

  it("acknowledges what was drawn, not what arrived", async () => {
    const { socket } = await open();
    const flood = new Uint8Array(ACK_EVERY_BYTES);
    socket.receiveBytes(flood);
    socket.receiveBytes(flood);
    expect(socket.sent).toHaveLength(1);
    output[0]?.drawn();
    expect(socket.sent.slice(1)).toEqual([{ type: "ack", bytes: ACK_EVERY_BYTES }]);
    output[1]?.drawn();
    expect(socket.sent.slice(1)).toHaveLength(2);
  });

  it("ends with the program's exit code", async () => {
    const { connection, socket } = await open();
    socket.receive({ type: "exit", code: 3, signal: null });
    expect(states.at(-1)).toEqual({ phase: "ended", code: 3, signal: null });
    expect(socket.closed).toBe(true);
    socket.drop();
    expect(states.at(-1)?.phase).toBe("ended");
    connection.type("into the void");
    expect(socket.bytes).toEqual([]);
  });

  it("tells an error by its code", async () => {
    const { socket } = await open();
    socket.receive({ type: "error", code: "session_closed", detail: "gone" });
    socket.drop();
    expect(states.at(-1)).toEqual({
      phase: "lost",
      reason: "The device's connection was closed. Reconnect to continue.",
    });
  });

  it("notices a lost connection", async () => {
    const { socket } = await open();
    socket.drop();
    expect(states.at(-1)).toEqual({ phase: "lost", reason: "The connection was lost." });
  });

  it("says nothing more once closed", async () => {
    const { connection, socket } = await open();
    connection.close();
    expect(socket.closed).toBe(true);
    socket.receive({ type: "exit", code: 0 });
    socket.drop();
    expect(states).toHaveLength(1);
  });
});

describe("the words at the end", () => {
  it.each([
    [{ phase: "ended", code: 0, signal: null }, "Ended with exit code 0."],
    [{ phase: "ended", code: null, signal: "KILL" }, "Ended by signal KILL."],
    [{ phase: "ended", code: null, signal: null }, "Ended."],
    [{ phase: "lost", reason: "Gone." }, "Gone."],
  ] satisfies [TerminalState, string][])("for %o", (state, words) => {
    expect(endedWords(state)).toBe(words);
  });
});
