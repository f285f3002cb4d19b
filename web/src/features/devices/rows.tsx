import { Group } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { Device } from "../../api/types";
import { Ago } from "../../ui/ago";
import { percent, share } from "../../ui/format";
import { Status } from "../../ui/status";
import classes from "./list.module.css";

function NameLink({ device }: { device: Device }) {
  return (
    <Link to="/devices/$deviceId" params={{ deviceId: device.id }} className={classes.name}>
      {device.name}
    </Link>
  );
}

export function DeviceTable({ devices }: { devices: Device[] }) {
  return (
    <div className={`${classes.panel} ${classes.scroll}`}>
      <table className={classes.table} aria-label="Devices">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Status</th>
            <th scope="col">Last seen</th>
            <th scope="col">Fleet</th>
            <th scope="col">CPU</th>
            <th scope="col">Memory</th>
            <th scope="col">Address</th>
          </tr>
        </thead>
        <tbody>
          {devices.map((device) => (
            <tr key={device.id}>
              <td>
                <NameLink device={device} />
                <div className={classes.sub}>{device.os_version ?? device.device_id}</div>
              </td>
              <td>
                <Status status={device.status} />
              </td>
              <td>
                <span className={classes.above}>
                  <Ago at={device.last_seen} />
                </span>
              </td>
              <td>{device.fleet_name ?? <span className={classes.sub}>No fleet</span>}</td>
              <td>
                <Meter label="CPU" value={device.metrics?.cpu_percent} />
              </td>
              <td>
                <Meter label="Memory" value={memory(device)} />
              </td>
              <td className="mono">{device.ip_address ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function DeviceCards({ devices }: { devices: Device[] }) {
  return (
    <ul className={classes.cards} aria-label="Devices">
      {devices.map((device) => (
        <li key={device.id} className={classes.card}>
          <Group justify="space-between" wrap="nowrap" gap="sm">
            <NameLink device={device} />
            <Status status={device.status} />
          </Group>
          <Group justify="space-between" gap="xs">
            <span className={classes.sub}>
              {device.fleet_name ?? "No fleet"} · seen <Ago at={device.last_seen} />
            </span>
            <Group gap="md">
              <Meter label="CPU" value={device.metrics?.cpu_percent} named />
              <Meter label="Memory" value={memory(device)} named />
            </Group>
          </Group>
        </li>
      ))}
    </ul>
  );
}

function memory(device: Device): number | null {
  return share(device.metrics?.memory_used, device.metrics?.memory_total);
}

/** Per cent from which a resource deserves a look. */
const HIGH = 90;

function Meter(props: { label: string; value: number | null | undefined; named?: boolean }) {
  const { label, value } = props;
  if (value == null) return props.named ? null : <span className={classes.sub}>–</span>;
  return (
    <span className={classes.meter}>
      {props.named && <span className={classes.sub}>{label}</span>}
      <span className={classes.track} aria-hidden="true">
        <span
          className={classes.fill}
          data-high={value >= HIGH || undefined}
          style={{ width: `${Math.min(100, Math.max(2, value))}%` }}
        />
      </span>
      <span className="nums">{percent(value)}</span>
    </span>
  );
}
