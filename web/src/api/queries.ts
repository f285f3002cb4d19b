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

export const devicesQuery = queryOptions({
  queryKey: keys.devices,
  queryFn: ({ signal }) => client.get<Page<Device>>("/api/devices", signal),
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
  queryFn: ({ signal }) => client.get<Page<Fleet>>("/api/fleets", signal),
});

export const softwareQuery = queryOptions({
  queryKey: keys.software,
  queryFn: ({ signal }) => client.get<Page<Software>>("/api/software", signal),
});

export const tokensQuery = queryOptions({
  queryKey: keys.tokens,
  queryFn: ({ signal }) => client.get<Page<ProvisionToken>>("/api/provision/tokens", signal),
});
