import { Button, Group, Skeleton, Stack, Text } from "@mantine/core";
import { IconBox, IconServer2, IconTerminal2 } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { containersQuery, deviceQuery } from "../../api/queries";
import { terminals } from "../../terminal/tabs";
import { Empty, Failed } from "../../ui/problems";
import { Status } from "../../ui/status";
import { usePermissions } from "../auth/session";
import listClasses from "./list.module.css";

/** Where a terminal may be opened. The terminals themselves live in the dock. */
export function TerminalTab() {
  const { deviceId } = useParams({ from: "/console/devices/$deviceId/terminal" });
  const { data: device } = useQuery(deviceQuery(deviceId));
  const containers = useQuery(containersQuery(deviceId));
  const can = usePermissions();
  if (!device) return <Skeleton height={140} radius="md" />;
  if (!can.containerTerminal) {
    return (
      <div className={listClasses.panel}>
        <Empty icon={<IconTerminal2 size={44} stroke={1.5} />} title="Terminals need another role">
          Operators may open a terminal in a container, administrators on the device itself too.
        </Empty>
      </div>
    );
  }
  const open = (container: string | null) =>
    terminals.open({ deviceId, deviceName: device.name, container });
  const offline = device.status === "offline" || device.status === "pending";
  const running = (containers.data?.items ?? []).filter((item) => item.state === "running");
  return (
    <Stack gap="sm">
      <Text c="dimmed" size="sm">
        {offline
          ? "The device is offline. A terminal can be opened when it is back."
          : "Terminals open at the bottom of the window and stay there while you look around."}
      </Text>
      {containers.isError && (
        <Failed
          what="The containers"
          error={containers.error}
          retry={() => void containers.refetch()}
        />
      )}
      {can.hostTerminal && (
        <Target
          icon={<IconServer2 size={22} stroke={1.6} aria-hidden />}
          name={device.name}
          about="The device itself"
          disabled={offline}
          label={`Open terminal on ${device.name}`}
          onOpen={() => open(null)}
        />
      )}
      {running.map((item) => (
        <Target
          key={item.id}
          icon={<IconBox size={22} stroke={1.6} aria-hidden />}
          name={item.service ?? item.name}
          about={`Container ${item.name}`}
          status={<Status status={item.state} />}
          disabled={offline}
          label={`Open terminal in ${item.name}`}
          onOpen={() => open(item.name)}
        />
      ))}
    </Stack>
  );
}

function Target(props: {
  icon: ReactNode;
  name: string;
  about: string;
  status?: ReactNode;
  disabled: boolean;
  label: string;
  onOpen: () => void;
}) {
  return (
    <Group className={listClasses.panel} p="md" justify="space-between" gap="sm">
      <Group gap="md" wrap="nowrap" style={{ minWidth: 0 }}>
        {props.icon}
        <div style={{ minWidth: 0 }}>
          <Group gap="sm">
            <Text fw={600}>{props.name}</Text>
            {props.status}
          </Group>
          <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
            {props.about}
          </Text>
        </div>
      </Group>
      <Button
        variant="light"
        leftSection={<IconTerminal2 size={18} aria-hidden />}
        disabled={props.disabled}
        aria-label={props.label}
        onClick={props.onOpen}
      >
        Open terminal
      </Button>
    </Group>
  );
}
