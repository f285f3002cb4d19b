import type { Device, DeviceStatus } from "../../api/types";

/** Attention first: what is broken stands above what is well. */
const ORDER: DeviceStatus[] = ["error", "offline", "updating", "pending", "online"];

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export function byAttention(a: Device, b: Device): number {
  return (
    ORDER.indexOf(a.status) - ORDER.indexOf(b.status) ||
    collator.compare(a.name, b.name) ||
    collator.compare(a.id, b.id)
  );
}

/** Whether every word of `query` occurs somewhere in what names the device. */
export function matches(device: Device, query: string): boolean {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const text = [
    device.name,
    device.device_id,
    device.fleet_name,
    device.ip_address,
    device.subdomain,
    device.os_version,
    device.status,
  ]
    .filter(Boolean)
    .join("\n")
    .toLowerCase();
  return words.every((word) => text.includes(word));
}

/** How many devices have each status, only those that occur, in the order of attention. */
export function countByStatus(devices: Device[]): [DeviceStatus, number][] {
  const counts = new Map<DeviceStatus, number>();
  for (const { status } of devices) counts.set(status, (counts.get(status) ?? 0) + 1);
  return ORDER.filter((status) => counts.has(status)).map((status) => [
    status,
    counts.get(status) ?? 0,
  ]);
}
