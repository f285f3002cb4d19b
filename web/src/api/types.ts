/** The server's documents as the REST API gives them. Timestamps are ISO 8601 in UTC. */

export type Role = "admin" | "operator" | "viewer";
export type DeviceStatus = "online" | "offline" | "updating" | "error" | "pending";

export interface Page<T> {
  items: T[];
  next: string | null;
  total: number;
}

export interface User {
  id: string;
  username: string;
  email: string | null;
  role: Role;
  created_at: string;
  updated_at: string;
}

export interface Grant {
  access_token: string;
  token_type: "Bearer";
  /** Seconds. */
  expires_in: number;
  user: User;
}

export interface Fleet {
  id: string;
  name: string;
  description: string | null;
  device_count: number;
  created_at: string;
  updated_at: string;
}

/** Memory and disk in bytes, CPU in per cent of all cores. */
export interface Metrics {
  cpu_percent?: number | null;
  memory_used?: number | null;
  memory_total?: number | null;
  disk_used?: number | null;
  disk_total?: number | null;
  uptime_s?: number | null;
  load1?: number | null;
}

export interface Device {
  id: string;
  device_id: string;
  name: string;
  fleet_id: string | null;
  fleet_name: string | null;
  status: DeviceStatus;
  last_seen: string | null;
  ip_address: string | null;
  os_version: string | null;
  agent_version: string | null;
  hardware_info: Record<string, unknown> | null;
  subdomain: string | null;
  subdomain_enabled: boolean;
  url: string | null;
  metrics: Metrics | null;
  created_at: string;
  updated_at: string;
}

export interface ContainerPort {
  container_port: number;
  protocol: string;
}

export interface Container {
  id: string;
  name: string;
  /** Name of the compose project; null for a container started by hand. */
  stack: string | null;
  service: string | null;
  image: string;
  state: string;
  /** One word or a few for people, such as "Exited (1)". */
  status: string;
  health: string | null;
  exit_code: number | null;
  /** While it runs; null from agents that don't tell. */
  started_at: string | null;
  ports: ContainerPort[];
}

export interface Containers {
  items: Container[];
  reported_at: string | null;
}

export interface ExposedService {
  id: string;
  device_id: string;
  name: string;
  container_name: string;
  internal_port: number;
  external_port: number | null;
  protocol: string;
  url_path: string | null;
  auth_required: boolean;
  enabled: boolean;
  url: string | null;
  created_at: string;
  updated_at: string;
}

export interface NewExposedService {
  name: string;
  container_name: string;
  internal_port: number;
  auth_required: boolean;
}

export interface Software {
  id: string;
  name: string;
  source: string;
  repo_url: string | null;
  current_version: string | null;
  versions: string[];
  created_at: string;
  updated_at: string;
}

export interface Deployment {
  id: string;
  software_id: string;
  software_name: string;
  fleet_id: string | null;
  device_id: string | null;
  version: string;
  pinned: boolean;
  status: string;
  detail: string | null;
  created_at: string;
  updated_at: string;
}

export interface ProvisionToken {
  id: string;
  /** Only in the reply that creates it. */
  token?: string;
  fleet_id: string | null;
  uses_left: number;
  expires_at: string;
  description: string | null;
}
