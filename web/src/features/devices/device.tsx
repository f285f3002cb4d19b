import { Button, Group, Skeleton, Stack } from "@mantine/core";
import {
  IconAddressBook,
  IconBox,
  IconChartBar,
  IconClock,
  IconExternalLink,
  IconPackage,
  IconServerOff,
  IconStack2,
  IconTerminal2,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useParams } from "@tanstack/react-router";
import { useCallback } from "react";
import { toApiError } from "../../api/errors";
import { deviceQuery, servicesQuery } from "../../api/queries";
import type { Device } from "../../api/types";
import type { LiveCache } from "../../live/cache";
import { useFreshness, useTopic } from "../../live/live";
import { deviceListener } from "../../live/topics";
import { Ago } from "../../ui/ago";
import { Heading } from "../../ui/page";
import { Empty, Failed } from "../../ui/problems";
import { Status } from "../../ui/status";
import classes from "./device.module.css";
import listClasses from "./list.module.css";
import { DeviceMenu } from "./menu";

const TABS = [
  { to: "/devices/$deviceId", label: "Overview", icon: IconChartBar, exact: true },
  { to: "/devices/$deviceId/containers", label: "Containers", icon: IconBox, exact: false },
  { to: "/devices/$deviceId/terminal", label: "Terminal", icon: IconTerminal2, exact: false },
  { to: "/devices/$deviceId/software", label: "Software", icon: IconPackage, exact: false },
] as const;

export function DevicePage() {
  const { deviceId } = useParams({ from: "/console/devices/$deviceId" });
  const device = useQuery(deviceQuery(deviceId));
  const stale = useFreshness() === "stale";
  useTopic(
    `device:${deviceId}`,
    useCallback((cache: LiveCache) => deviceListener(cache, deviceId), [deviceId]),
  );

  if (device.isError && toApiError(device.error).code === "not_found") {
    return (
      <Empty
        icon={<IconServerOff size={44} stroke={1.5} />}
        page
        title="This device is gone"
        action={
          <Button component={Link} to="/devices">
            Go to devices
          </Button>
        }
      >
        It has been deleted, or the link is wrong.
      </Empty>
    );
  }
  return (
    <div>
      {device.isError && (
        <Failed
          what="The device"
          error={device.error}
          retry={() => void device.refetch()}
          busy={device.isFetching}
        />
      )}
      {device.data ? (
        <div className={stale ? listClasses.stale : ""}>
          <Head device={device.data} />
        </div>
      ) : (
        device.isPending && <HeadSkeleton />
      )}
      <nav aria-label="Device" className={classes.tabs}>
        {TABS.map(({ to, label, icon: Icon, exact }) => (
          <Link
            key={to}
            to={to}
            params={{ deviceId }}
            className={classes.tab}
            activeOptions={{ exact, includeSearch: false }}
          >
            <Icon size={18} stroke={1.75} aria-hidden />
            {label}
          </Link>
        ))}
      </nav>
      <div className={stale ? listClasses.stale : ""}>
        <Outlet />
      </div>
    </div>
  );
}

function Head({ device }: { device: Device }) {
  return (
    <div className={classes.head}>
      <Group justify="space-between" gap="sm" wrap="nowrap" align="flex-start">
        <Group gap="sm">
          <Heading title={device.name} />
          <Status status={device.status} />
        </Group>
        <DeviceMenu device={device} />
      </Group>
      <div className={classes.facts}>
        <span className={classes.fact}>
          <IconClock size={16} stroke={1.75} aria-hidden />
          <span>
            Last seen <Ago at={device.last_seen} />
          </span>
        </span>
        <span className={classes.fact}>
          <IconStack2 size={16} stroke={1.75} aria-hidden />
          {device.fleet_name ?? "No fleet"}
        </span>
        {device.ip_address && (
          <span className={classes.fact}>
            <IconAddressBook size={16} stroke={1.75} aria-hidden />
            <span className="mono">{device.ip_address}</span>
          </span>
        )}
      </div>
      <ServiceLinks device={device} />
    </div>
  );
}

/** The addresses at which the outside world reaches this device. */
function ServiceLinks({ device }: { device: Device }) {
  const { data } = useQuery(servicesQuery(device.id));
  const open = (data?.items ?? []).filter((service) => service.enabled && service.url);
  if (open.length === 0) return null;
  return (
    <div className={classes.links}>
      {open.map((service) => (
        <a
          key={service.id}
          className={classes.pill}
          href={service.url ?? undefined}
          target="_blank"
          rel="noreferrer"
        >
          {service.url?.replace(/^https?:\/\//, "").replace(/\/$/, "")}
          <IconExternalLink size={15} aria-hidden />
          <span className="visually-hidden">({service.name}, opens in a new tab)</span>
        </a>
      ))}
    </div>
  );
}

function HeadSkeleton() {
  return (
    <Stack gap="sm" mb="lg" role="status" aria-label="Loading the device">
      <Skeleton height={30} width={240} />
      <Skeleton height={16} width={340} />
    </Stack>
  );
}
