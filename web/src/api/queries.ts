import { queryOptions } from "@tanstack/react-query";
import { client } from "./client";
import type {
  Containers,
  Deployment,
  Device,
  ExposedService,
  Fleet,
  Page,
  ProvisionToken,
  Software,
} from "./types";

/** Every key of the query cache, so that live updates and mutations name the same things. */
export const keys = {
  devices: ["devices"] as const,
  device: (id: string) => ["device", id] as const,
  containers: (id: string) => ["device", id, "containers"] as const,
  services: (id: string) => ["device", id, "services"] as const,
  deployments: (id: string) => ["device", id, "deployments"] as const,
  fleets: ["fleets"] as const,
  software: ["software"] as const,
  tokens: ["tokens"] as const,
};

const id = encodeURIComponent;

/** Pages followed before giving up: 100,000 things, more than a browser should hold. */
const MOST_PAGES = 200;

/** A whole list, page after page. What moved between two pages appears once. */
async function all<T extends { id: string }>(path: string, signal: AbortSignal): Promise<Page<T>> {
  const found = new Map<string, T>();
  let cursor: string | null = null;
  for (let count = 0; count < MOST_PAGES; count += 1) {
    const query: string = cursor === null ? "" : `?cursor=${id(cursor)}`;
    const page: Page<T> = await client.get<Page<T>>(path + query, signal);
    for (const item of page.items) found.set(item.id, item);
    cursor = page.next;
    if (cursor === null) break;
  }
  return { items: [...found.values()], next: cursor, total: found.size };
}

export const devicesQuery = queryOptions({
  queryKey: keys.devices,
  queryFn: ({ signal }) => all<Device>("/api/devices", signal),
});

export const deviceQuery = (device: string) =>
  queryOptions({
    queryKey: keys.device(device),
    queryFn: ({ signal }) => client.get<Device>(`/api/devices/${id(device)}`, signal),
  });

export const containersQuery = (device: string) =>
  queryOptions({
    queryKey: keys.containers(device),
    queryFn: ({ signal }) =>
      client.get<Containers>(`/api/devices/${id(device)}/containers`, signal),
  });

export const servicesQuery = (device: string) =>
  queryOptions({
    queryKey: keys.services(device),
    queryFn: ({ signal }) =>
      client.get<Page<ExposedService>>(`/api/devices/${id(device)}/exposed-services`, signal),
  });

export const deploymentsQuery = (device: string) =>
  queryOptions({
    queryKey: keys.deployments(device),
    queryFn: ({ signal }) =>
      client.get<Page<Deployment>>(`/api/devices/${id(device)}/deployments`, signal),
  });

export const fleetsQuery = queryOptions({
  queryKey: keys.fleets,
  queryFn: ({ signal }) => all<Fleet>("/api/fleets", signal),
});

export const softwareQuery = queryOptions({
  queryKey: keys.software,
  queryFn: ({ signal }) => all<Software>("/api/software", signal),
});

export const tokensQuery = queryOptions({
  queryKey: keys.tokens,
  queryFn: ({ signal }) => all<ProvisionToken>("/api/provision/tokens", signal),
});
