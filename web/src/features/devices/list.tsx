import { Button, CloseButton, Group, Skeleton, Stack, Text, TextInput } from "@mantine/core";
import { useHotkeys, useMediaQuery } from "@mantine/hooks";
import { IconPlus, IconSearch, IconServer2, IconZoomExclamation } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo, useRef, useState } from "react";
import { devicesQuery } from "../../api/queries";
import type { Device } from "../../api/types";
import { useFreshness } from "../../live/live";
import { plural } from "../../ui/format";
import { PageHead } from "../../ui/page";
import { Empty, Failed } from "../../ui/problems";
import { lookOf } from "../../ui/status";
import { usePermissions } from "../auth/session";
import { AddDevice } from "./add";
import { byAttention, countByStatus, matches } from "./filter";
import classes from "./list.module.css";
import { DeviceCards, DeviceTable } from "./rows";

const route = getRouteApi("/console/devices");

/** Rows drawn at a time: more than a screen, few enough to draw at once on a slow phone. */
const STEP = 100;

export function DevicesPage() {
  const devices = useQuery(devicesQuery);
  const can = usePermissions();
  const [adding, setAdding] = useState(false);
  const add = can.addDevice && (
    <Button leftSection={<IconPlus size={18} aria-hidden />} onClick={() => setAdding(true)}>
      Add device
    </Button>
  );
  return (
    <div>
      <PageHead
        title="Devices"
        about={devices.data && <Summary devices={devices.data.items} />}
        actions={devices.data?.items.length !== 0 && add}
      />
      {devices.isError && (
        <Failed
          what="The list of devices"
          error={devices.error}
          retry={() => void devices.refetch()}
          busy={devices.isFetching}
        />
      )}
      {devices.data ? (
        devices.data.items.length === 0 ? (
          <FirstDevice action={add} />
        ) : (
          <Listing devices={devices.data.items} />
        )
      ) : (
        devices.isPending && <Loading />
      )}
      <AddDevice opened={adding} onClose={() => setAdding(false)} />
    </div>
  );
}

function Summary({ devices }: { devices: Device[] }) {
  if (devices.length === 0) return <>Small computers that connect to this server.</>;
  const online = devices.filter(
    (device) => device.status !== "offline" && device.status !== "pending",
  );
  return (
    <>
      {plural(devices.length, "device")}, {online.length.toLocaleString("en")} connected
    </>
  );
}

function Listing({ devices }: { devices: Device[] }) {
  const { q = "", status } = route.useSearch();
  const navigate = route.useNavigate();
  const phone = useMediaQuery("(max-width: 47.99em)", undefined, {
    getInitialValueInEffect: false,
  });
  const stale = useFreshness() === "stale";
  const box = useRef<HTMLInputElement>(null);
  const [drawn, setDrawn] = useState(STEP);
  useHotkeys([["/", () => box.current?.focus()]]);

  const counts = useMemo(() => countByStatus(devices), [devices]);
  const found = useMemo(
    () =>
      devices
        .filter((device) => (!status || device.status === status) && matches(device, q))
        .sort(byAttention),
    [devices, q, status],
  );
  const filter = (change: { q?: string; status?: string | undefined }) =>
    void navigate({
      search: (old) => ({ ...old, ...change, ...(change.q === "" ? { q: undefined } : {}) }),
      replace: true,
    });
  const shown = found.slice(0, drawn);
  return (
    <Stack gap="md">
      <Group gap="sm" justify="space-between">
        <fieldset className={classes.chips} style={{ border: 0, margin: 0, padding: 0 }}>
          <legend className="visually-hidden">Filter by status</legend>
          <Chip on={!status} count={devices.length} onClick={() => filter({ status: undefined })}>
            All
          </Chip>
          {counts.map(([name, count]) => (
            <Chip
              key={name}
              on={status === name}
              count={count}
              onClick={() => filter({ status: status === name ? undefined : name })}
            >
              {lookOf(name).word}
            </Chip>
          ))}
        </fieldset>
        <TextInput
          ref={box}
          type="search"
          aria-label="Search devices"
          aria-keyshortcuts="/"
          placeholder="Name, fleet or address"
          w={{ base: "100%", sm: 280 }}
          value={q}
          onChange={(event) => filter({ q: event.currentTarget.value })}
          leftSection={<IconSearch size={16} aria-hidden />}
          rightSectionPointerEvents="all"
          rightSection={
            q && (
              <CloseButton
                size="sm"
                aria-label="Clear the search"
                onClick={() => {
                  filter({ q: "" });
                  box.current?.focus();
                }}
              />
            )
          }
        />
      </Group>
      <div className={stale ? classes.stale : ""}>
        {found.length === 0 ? (
          <div className={classes.panel}>
            <Empty
              icon={<IconZoomExclamation size={44} stroke={1.5} />}
              title="No device fits"
              action={
                <Button variant="default" onClick={() => filter({ q: "", status: undefined })}>
                  Show all {plural(devices.length, "device")}
                </Button>
              }
            >
              {plural(devices.length, "device is", "devices are")} hidden by the search and the
              filter.
            </Empty>
          </div>
        ) : phone ? (
          <DeviceCards devices={shown} />
        ) : (
          <DeviceTable devices={shown} />
        )}
      </div>
      {found.length > shown.length && (
        <Group justify="center">
          <Text c="dimmed" size="sm">
            {shown.length} of {plural(found.length, "device")}
          </Text>
          <Button variant="default" size="xs" onClick={() => setDrawn(drawn + STEP)}>
            Show more
          </Button>
        </Group>
      )}
    </Stack>
  );
}

function Chip(props: { on: boolean; count: number; onClick: () => void; children: string }) {
  return (
    <button type="button" className={classes.chip} aria-pressed={props.on} onClick={props.onClick}>
      {props.children}
      <span className={classes.count}>{props.count.toLocaleString("en")}</span>
    </button>
  );
}

function FirstDevice({ action }: { action: React.ReactNode }) {
  return (
    <div className={classes.panel}>
      <Empty
        icon={<IconServer2 size={48} stroke={1.4} />}
        title="Add your first device"
        action={action}
      >
        Run the Edgetainer agent on any Linux computer that can reach this server. It connects
        outwards by itself, so it may sit behind NAT, a firewall or a mobile link; no port needs to
        be opened.{" "}
        {action
          ? "You get a one-time token and the commands to paste."
          : "Ask an administrator to add one."}
      </Empty>
    </div>
  );
}

function Loading() {
  return (
    <div className={classes.panel} role="status" aria-label="Loading devices">
      {Array.from({ length: 6 }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all alike
        <Group key={row} px="md" py={15} gap="xl" wrap="nowrap">
          <Skeleton height={14} width={`${26 + ((row * 7) % 12)}%`} />
          <Skeleton height={22} width={88} radius="xl" />
          <Skeleton height={14} width="16%" visibleFrom="sm" />
          <Skeleton height={14} width="16%" visibleFrom="sm" />
        </Group>
      ))}
    </div>
  );
}
