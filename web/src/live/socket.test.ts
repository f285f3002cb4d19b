import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeWebSocket } from "../test/fake-websocket";
import { HubSocket, type LiveEvent, SILENCE_MS } from "./socket";

let hub: HubSocket;
let tickets: number;
let ticketFails: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  FakeWebSocket.install();
  tickets = 0;
  ticketFails = false;
  hub = new HubSocket({
    url: "wss://console.example/ws",
    ticket: async () => {
      tickets += 1;
      if (ticketFails) throw new Error("no network");
      return `ticket-${tickets}`;
    },
    random: () => 0.5,
  });
});

afterEach(() => {
  hub.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function settle(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** Lets the newest socket open and be accepted. */
async function accept(): Promise<FakeWebSocket> {
  await settle();
  const socket = FakeWebSocket.last();
  socket.open();
  socket.receive({ type: "ready", user: {} });
  return socket;
}

function listener() {
  return { event: vi.fn<(event: LiveEvent) => void>(), resync: vi.fn<() => void>() };
}

const event = (seq: number, topic = "devices") => ({
  topic,
  seq,
  ts: "2026-01-01T00:00:00Z",
  type: "device.updated",
  data: { id: "d" },
});

describe("connecting", () => {
  it("presents a ticket first and keeps it out of the address", async () => {
    hub.start();
    await settle();
    const socket = FakeWebSocket.last();
    expect(socket.url).toBe("wss://console.example/ws");
    expect(socket.sent).toEqual([]);
    socket.open();
    expect(socket.sent).toEqual([{ ticket: "ticket-1" }]);
    expect(hub.phase).toBe("connecting");
    socket.receive({ type: "ready" });
    expect(hub.phase).toBe("live");
  });

  it("connects without any subscription, so that the badge is honest", async () => {
    hub.start();
    await accept();
    expect(hub.phase).toBe("live");
  });

  it("subscribes what was asked before it was ready, and has that read anew", async () => {
    const watching = listener();
    hub.subscribe("devices", watching);
    hub.start();
    const socket = await accept();
    expect(socket.sent.slice(1)).toEqual([{ op: "sub", topic: "devices" }]);
    expect(watching.resync).toHaveBeenCalledTimes(1);
  });

  it("gives up on a socket that is never accepted", async () => {
    hub.start();
    await settle();
    FakeWebSocket.last().open();
    await settle(10_000);
    expect(FakeWebSocket.all[0]?.closed).toBe(true);
    expect(hub.phase).toBe("lost");
  });
});

describe("events", () => {
  it("reach every listener of their topic and no other", async () => {
    const [one, two, other] = [listener(), listener(), listener()];
    hub.subscribe("devices", one);
    hub.subscribe("devices", two);
    hub.subscribe("device:1", other);
    hub.start();
    const socket = await accept();
    socket.receive(event(5));
    expect(one.event).toHaveBeenCalledWith(event(5));
    expect(two.event).toHaveBeenCalledTimes(1);
    expect(other.event).not.toHaveBeenCalled();
  });

  it("are not told twice when a replay overlaps", async () => {
    const watching = listener();
    hub.subscribe("devices", watching);
    hub.start();
    const socket = await accept();
    socket.receive(event(5));
    socket.receive(event(5));
    expect(watching.event).toHaveBeenCalledTimes(1);
  });

  it("that count from the start again mean that all must be read anew", async () => {
    const watching = listener();
    hub.subscribe("devices", watching);
    hub.start();
    const socket = await accept();
    watching.resync.mockClear();
    socket.receive(event(500));
    socket.receive(event(3));
    expect(watching.resync).toHaveBeenCalledTimes(1);
    expect(watching.event).toHaveBeenCalledTimes(2);
  });

  it("stop with the last listener", async () => {
    hub.start();
    const socket = await accept();
    const [one, two] = [hub.subscribe("devices", listener()), hub.subscribe("devices", listener())];
    one();
    one();
    expect(socket.sent.at(-1)).toEqual({ op: "sub", topic: "devices" });
    two();
    expect(socket.sent.at(-1)).toEqual({ op: "unsub", topic: "devices" });
  });

  it("survive what is not understood", async () => {
    const watching = listener();
    hub.subscribe("devices", watching);
    hub.start();
    const socket = await accept();
    for (const junk of ["not json", "null", "[]", '{"topic":"devices"}', '{"type":"new"}']) {
      socket.receiveText(junk);
    }
    socket.receive({ type: "error", topic: "devices", code: "forbidden" });
    socket.receive(event(1));
    expect(watching.event).toHaveBeenCalledTimes(1);
  });
});

describe("a lost line", () => {
  it("is noticed by its silence, since a network that drops everything closes nothing", async () => {
    hub.start();
    const socket = await accept();
    for (let beat = 0; beat < 5; beat += 1) {
      await settle(SILENCE_MS - 1);
      socket.receive({ type: "beat" });
    }
    expect(hub.phase).toBe("live");
    expect(hub.silentFor()).toBe(0);
    await settle(SILENCE_MS - 1);
    expect(hub.phase).toBe("live");
    await settle(1);
    expect(hub.phase).toBe("lost");
    expect(hub.silentFor()).toBe(SILENCE_MS);
    expect(socket.closed).toBe(true);
    await settle(250);
    await accept();
    expect(hub.phase).toBe("live");
  });

  it("is taken up where it broke", async () => {
    const watching = listener();
    hub.subscribe("devices", watching);
    hub.start();
    (await accept()).receive(event(7));
    watching.resync.mockClear();
    FakeWebSocket.last().drop();
    expect(hub.phase).toBe("lost");
    await settle(250);
    const socket = await accept();
    expect(socket.sent).toEqual([
      { ticket: "ticket-2" },
      { op: "sub", topic: "devices", since: 7 },
    ]);
    expect(watching.resync).not.toHaveBeenCalled();
    socket.receive({ type: "resync", topic: "devices" });
    expect(watching.resync).toHaveBeenCalledTimes(1);
  });

  it("is tried again with growing pauses up to a bound, spread by chance", async () => {
    ticketFails = true;
    hub.start();
    await settle();
    const waits: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      const before = tickets;
      let waited = 0;
      while (tickets === before) {
        await settle(50);
        waited += 50;
      }
      waits.push(waited);
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 2500, 2500, 2500, 2500]);
  });

  it("backs off from a server that opens and drops, and starts afresh once accepted", async () => {
    hub.start();
    for (const pause of [250, 500, 1000]) {
      await settle();
      const count = FakeWebSocket.all.length;
      FakeWebSocket.last().open();
      FakeWebSocket.last().drop();
      await settle(pause - 1);
      expect(FakeWebSocket.all).toHaveLength(count);
      await settle(1);
    }
    await accept();
    FakeWebSocket.last().drop();
    const count = FakeWebSocket.all.length;
    await settle(250);
    expect(FakeWebSocket.all).toHaveLength(count + 1);
  });

  it("is tried at once when the network is back", async () => {
    ticketFails = true;
    hub.start();
    await settle(20_000);
    ticketFails = false;
    const before = tickets;
    window.dispatchEvent(new Event("online"));
    await settle();
    expect(tickets).toBe(before + 1);
    await accept();
    expect(hub.phase).toBe("live");
  });

  it("stays quiet after stop", async () => {
    hub.start();
    const socket = await accept();
    hub.stop();
    expect(socket.closed).toBe(true);
    await settle(60_000);
    expect(tickets).toBe(1);
    expect(hub.phase).toBe("idle");
  });
});
