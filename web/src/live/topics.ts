import { keys } from "../api/queries";
import type { Device, Page } from "../api/types";
import type { LiveCache } from "./cache";
import type { Listener, LiveEvent } from "./socket";

/** The list with `device` in it: replaced where it stood, or added at the end. */
export function withDevice(page: Page<Device>, device: Device): Page<Device> {
  const at = page.items.findIndex((item) => item.id === device.id);
  if (at < 0) return { ...page, items: [...page.items, device], total: page.total + 1 };
  const items = page.items.slice();
  items[at] = device;
  return { ...page, items };
}

export function withoutDevice(page: Page<Device>, id: string): Page<Device> {
  const items = page.items.filter((item) => item.id !== id);
  return items.length === page.items.length ? page : { ...page, items, total: page.total - 1 };
}

function isDevice(data: unknown): data is Device {
  return (
    typeof data === "object" &&
    data !== null &&
    typeof (data as Device).id === "string" &&
    typeof (data as Device).status === "string"
  );
}

function applyDevice(cache: LiveCache, event: LiveEvent): boolean {
  if (event.type === "device.deleted") {
    const { id } = event.data as { id: string };
    cache.apply<Page<Device>>(keys.devices, (page) => withoutDevice(page, id));
    cache.refetch(keys.device(id));
    return true;
  }
  if (!isDevice(event.data)) return false;
  const device = event.data;
  cache.apply<Page<Device>>(keys.devices, (page) => withDevice(page, device));
  cache.apply<Device>(keys.device(device.id), () => device);
  return true;
}

/** Topic `devices`: the list, and the header of every device that is cached. */
export function devicesListener(cache: LiveCache): Listener {
  return {
    event: (event) => {
      if (!applyDevice(cache, event)) cache.refetch(keys.devices);
    },
    resync: () => cache.refetch(keys.devices),
  };
}

/** Which part of what is cached about a device an event makes old. */
const PARTS: Record<string, (id: string) => readonly string[]> = {
  "containers.updated": keys.containers,
  "deployment.updated": keys.deployments,
  "device.assigned": keys.deployments,
  "exposures.updated": keys.services,
};

/** Topic `device:<id>`: everything that hangs on one device. */
export function deviceListener(cache: LiveCache, id: string): Listener {
  return {
    event: (event) => {
      const part = PARTS[event.type];
      if (part) cache.refetch(part(id));
      else if (!applyDevice(cache, event)) cache.refetch(keys.device(id));
    },
    resync: () => cache.refetch(keys.device(id)),
  };
}
