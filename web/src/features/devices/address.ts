import type { Container } from "../../api/types";

/** What the device takes for this container's service: with its stack where two are called so. */
export function containerName(item: Container, all: Container[]): string {
  const { service, stack } = item;
  if (service === null) return item.name;
  const twins = all.some((other) => other.service === service && other.stack !== stack);
  return twins && stack !== null ? `${stack}/${service}` : service;
}

/** The address that a service of a device gets: one label, `service--device`, below the zone. */
export function serviceAddress(deviceUrl: string | null, service: string): string | null {
  if (deviceUrl === null || service === "") return null;
  try {
    const url = new URL(deviceUrl);
    return `${url.protocol}//${service}--${url.host}/`;
  } catch {
    return null;
  }
}

/** A name for a service made from its container's, fit for an address and not taken. */
export function serviceName(container: string, taken: string[]): string {
  const base = container
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 30);
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? base : `${base}-${count}`;
    if (!taken.includes(name)) return name;
  }
}
