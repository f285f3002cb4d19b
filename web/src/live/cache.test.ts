import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keys } from "../api/queries";
import type { Device, Page } from "../api/types";
import { LiveCache } from "./cache";
import { deviceListener, devicesListener, withDevice, withoutDevice } from "./topics";

const device = (id: string, status: Device["status"], name = id) =>
  ({ id, name, status }) as Device;
const page = (...items: Device[]): Page<Device> => ({ items, next: null, total: items.length });
const told = (data: unknown, type = "device.updated") => ({
  topic: "devices",
  seq: 1,
  ts: "",
  type,
  data,
});

let queries: QueryClient;
let cache: LiveCache;

beforeEach(() => {
  queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  cache = new LiveCache(queries);
});

afterEach(() => cache.close());

const cached = () => queries.getQueryData<Page<Device>>(keys.devices);

/** A snapshot under way, that the test ends when it likes. */
function snapshot() {
  const { promise, resolve, reject } = Promise.withResolvers<Page<Device>>();
  const done = queries
    .fetchQuery({ queryKey: keys.devices, queryFn: () => promise, staleTime: 0 })
    .catch(() => undefined);
  return {
    arrive: async (value: Page<Device>) => {
      resolve(value);
      await done;
    },
    fail: async () => {
      reject(new Error("no network"));
      await done;
    },
  };
}

describe("live updates", () => {
  it("change the list and the device", () => {
    queries.setQueryData(keys.devices, page(device("a", "online"), device("b", "online")));
    queries.setQueryData(keys.device("a"), device("a", "online"));
    devicesListener(cache).event(told(device("a", "offline")));
    expect(cached()?.items.map((item) => item.status)).toEqual(["offline", "online"]);
    expect(queries.getQueryData<Device>(keys.device("a"))?.status).toBe("offline");
  });

  it("do not make up a list that was never read", () => {
    devicesListener(cache).event(told(device("a", "offline")));
    expect(cached()).toBeUndefined();
  });

  it("wait while a snapshot is on its way, then are put on top of it in order", async () => {
    queries.setQueryData(keys.devices, page(device("a", "online")));
    const reading = snapshot();
    devicesListener(cache).event(told(device("a", "updating")));
    devicesListener(cache).event(told(device("a", "offline")));
    devicesListener(cache).event(told(device("b", "online")));
    expect(cached()?.items[0]?.status).toBe("online");
    await reading.arrive(page(device("a", "online")));
    expect(cached()).toEqual(page(device("a", "offline"), device("b", "online")));
  });

  it("wait for the very first snapshot too", async () => {
    const reading = snapshot();
    devicesListener(cache).event(told(device("a", "error")));
    await reading.arrive(page(device("a", "online")));
    expect(cached()?.items[0]?.status).toBe("error");
  });

  it("are put on top of what is there when the snapshot fails", async () => {
    queries.setQueryData(keys.devices, page(device("a", "online")));
    const reading = snapshot();
    devicesListener(cache).event(told(device("a", "offline")));
    await reading.fail();
    expect(cached()?.items[0]?.status).toBe("offline");
  });

  it("take a deleted device out", () => {
    queries.setQueryData(keys.devices, page(device("a", "online"), device("b", "online")));
    devicesListener(cache).event(told({ id: "a" }, "device.deleted"));
    expect(cached()).toEqual(page(device("b", "online")));
  });

  it("that are not understood have the list read again", () => {
    queries.setQueryData(keys.devices, page(device("a", "online")));
    devicesListener(cache).event(told({ any: "thing" }, "devices.reordered"));
    expect(queries.getQueryState(keys.devices)?.isInvalidated).toBe(true);
  });
});

describe("reading again", () => {
  it("follows a reading under way instead of starving it", async () => {
    const answers: ((value: number) => void)[] = [];
    const observer = new QueryObserver<number>(queries, {
      queryKey: keys.containers("a"),
      queryFn: () => new Promise<number>((resolve) => answers.push(resolve)),
    });
    const stop = observer.subscribe(() => {});
    const settled = () => new Promise((resolve) => setTimeout(resolve, 5));
    for (let count = 0; count < 5; count += 1) cache.refetch(keys.containers("a"));
    expect(answers).toHaveLength(1);
    answers[0]?.(1);
    await settled();
    expect(queries.getQueryData(keys.containers("a"))).toBe(1);
    expect(answers).toHaveLength(2);
    answers[1]?.(2);
    await settled();
    expect(queries.getQueryData(keys.containers("a"))).toBe(2);
    expect(answers).toHaveLength(2);
    stop();
  });
});

describe("a device's topic", () => {
  it.each([
    ["containers.updated", keys.containers("a")],
    ["deployment.updated", keys.deployments("a")],
    ["device.assigned", keys.deployments("a")],
    ["exposures.updated", keys.services("a")],
  ])("%s makes only its own part old", (type, key) => {
    const parts = [
      keys.device("a"),
      keys.containers("a"),
      keys.deployments("a"),
      keys.services("a"),
    ];
    for (const part of parts) queries.setQueryData(part, {});
    deviceListener(cache, "a").event(told({}, type));
    const old = parts.filter((part) => queries.getQueryState(part)?.isInvalidated);
    expect(old).toEqual([key]);
  });

  it("has everything read again after a gap", () => {
    queries.setQueryData(keys.device("a"), {});
    queries.setQueryData(keys.containers("a"), {});
    deviceListener(cache, "a").resync();
    expect(queries.getQueryState(keys.device("a"))?.isInvalidated).toBe(true);
    expect(queries.getQueryState(keys.containers("a"))?.isInvalidated).toBe(true);
  });
});

describe("the list", () => {
  it("keeps a device's place and counts a new one", () => {
    const list = page(device("a", "online"), device("b", "online"));
    expect(withDevice(list, device("a", "error")).items[0]?.status).toBe("error");
    expect(withDevice(list, device("c", "online")).total).toBe(3);
    expect(withoutDevice(list, "x")).toBe(list);
    expect(withoutDevice(list, "a").total).toBe(1);
  });
});
