import { Skeleton, Title } from "@mantine/core";
import { IconActivity, IconCpu, IconDatabase, IconServerBolt } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { deviceQuery } from "../../api/queries";
import type { Device } from "../../api/types";
import { Copy } from "../../ui/copy";
import { absolute, bytes, duration, percent, share } from "../../ui/format";
import classes from "./overview.module.css";

export function Overview() {
  const { deviceId } = useParams({ from: "/console/devices/$deviceId/" });
  const { data } = useQuery(deviceQuery(deviceId));
  if (!data) return <Skeleton height={140} radius="md" />;
  return (
    <>
      <MetricCards device={data} />
      <Title order={2} size="h4" mb="sm">
        Facts
      </Title>
      <Facts device={data} />
    </>
  );
}

function MetricCards({ device }: { device: Device }) {
  const m = device.metrics;
  const memory = share(m?.memory_used, m?.memory_total);
  const disk = share(m?.disk_used, m?.disk_total);
  const load = m?.load1 == null ? "" : `Load ${m.load1.toFixed(2)} over one minute`;
  const pair = (used: number | null | undefined, total: number | null | undefined) =>
    used == null ? "" : `${bytes(used)} of ${bytes(total)}`;
  return (
    <section className={classes.grid} aria-label="Metrics">
      <Card icon={<IconCpu size={18} />} label="CPU" level={m?.cpu_percent} detail={load}>
        {percent(m?.cpu_percent)}
      </Card>
      <Card
        icon={<IconServerBolt size={18} />}
        label="Memory"
        level={memory}
        detail={pair(m?.memory_used, m?.memory_total)}
      >
        {percent(memory)}
      </Card>
      <Card
        icon={<IconDatabase size={18} />}
        label="Disk"
        level={disk}
        detail={pair(m?.disk_used, m?.disk_total)}
      >
        {percent(disk)}
      </Card>
      <Card
        icon={<IconActivity size={18} />}
        label="Up for"
        detail={m ? "Since the device last started" : "The device has not reported yet"}
      >
        {duration(m?.uptime_s)}
      </Card>
    </section>
  );
}

/** Per cent from which a resource deserves a look. */
const HIGH = 90;

function Card(props: {
  icon: ReactNode;
  label: string;
  level?: number | null | undefined;
  detail: string;
  children: ReactNode;
}) {
  return (
    <div className={classes.card}>
      <div className={classes.label}>
        <span aria-hidden="true" style={{ display: "flex" }}>
          {props.icon}
        </span>
        {props.label}
      </div>
      <div className={classes.value}>{props.children}</div>
      <div className={classes.detail}>{props.detail}</div>
      {props.level != null && (
        <div className={classes.track} aria-hidden="true">
          <span
            className={classes.fill}
            data-high={props.level >= HIGH || undefined}
            style={{ width: `${Math.min(100, Math.max(1, props.level))}%` }}
          />
        </div>
      )}
    </div>
  );
}

function Facts({ device }: { device: Device }) {
  return (
    <dl className={classes.facts}>
      <Fact name="Device id" value={device.device_id} mono copy />
      <Fact name="Public address" value={device.url} copy />
      <Fact name="Network address" value={device.ip_address} mono copy />
      <Fact name="Operating system" value={device.os_version} />
      <Fact name="Agent" value={device.agent_version} />
      {hardware(device.hardware_info).map(([name, value]) => (
        <Fact key={name} name={name} value={value} />
      ))}
      <Fact name="Added" value={absolute(device.created_at)} />
    </dl>
  );
}

function Fact(props: { name: string; value: string | null; mono?: boolean; copy?: boolean }) {
  return (
    <>
      <dt>{props.name}</dt>
      <dd>
        <span className={props.mono ? "mono" : ""}>{props.value ?? "–"}</span>
        {props.copy && props.value && (
          <Copy value={props.value} label={`Copy ${props.name.toLowerCase()}`} />
        )}
      </dd>
    </>
  );
}

/** What the agent reports of the hardware is open-ended: show what is plain, skip what is not. */
export function hardware(info: Record<string, unknown> | null): [string, string][] {
  return Object.entries(info ?? {}).flatMap(([key, value]): [string, string][] => {
    if (value === null || value === "" || typeof value === "object") return [];
    const words = key.replace(/_/g, " ").replace(/\b(cpu|id|uuid|mac)\b/gi, (w) => w.toUpperCase());
    const isBytes = /(memory|disk|ram|bytes)/i.test(key) && typeof value === "number";
    return [
      [
        words.charAt(0).toUpperCase() + words.slice(1).replace(/ bytes$/, ""),
        isBytes ? bytes(value) : String(value),
      ],
    ];
  });
}
