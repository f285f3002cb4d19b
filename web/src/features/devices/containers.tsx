import { Button, Group, Skeleton, Text, Title } from "@mantine/core";
import { IconBox, IconExternalLink, IconTerminal2, IconWorldPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { containersQuery, deviceQuery, servicesQuery } from "../../api/queries";
import type { Container, Device, ExposedService } from "../../api/types";
import { terminals } from "../../terminal/tabs";
import { Ago } from "../../ui/ago";
import { shortImage } from "../../ui/format";
import { Empty, Failed } from "../../ui/problems";
import { Status } from "../../ui/status";
import { usePermissions } from "../auth/session";
import { containerName } from "./address";
import classes from "./containers.module.css";
import { ExposeDialog, type ExposeTarget } from "./expose";
import listClasses from "./list.module.css";
import { Services } from "./services";

export function Containers() {
  const { deviceId } = useParams({ from: "/console/devices/$deviceId/containers" });
  const { data: device } = useQuery(deviceQuery(deviceId));
  const containers = useQuery(containersQuery(deviceId));
  const services = useQuery(servicesQuery(deviceId));
  const can = usePermissions();
  const [target, setTarget] = useState<ExposeTarget | null>(null);

  if (!device || containers.isPending) return <Skeleton height={150} radius="md" />;
  const items = containers.data?.items ?? [];
  const stacks = Map.groupBy(items, (item) => item.stack ?? "");
  return (
    <>
      {containers.isError && (
        <Failed
          what="The containers"
          error={containers.error}
          retry={() => void containers.refetch()}
          busy={containers.isFetching}
        />
      )}
      {containers.data && items.length === 0 && (
        <div className={listClasses.panel} style={{ marginBottom: 32 }}>
          <Empty
            icon={<IconBox size={44} stroke={1.5} />}
            title="Nothing runs here yet"
            action={
              can.deploy && (
                <Button component={Link} to={`/devices/${deviceId}/software`}>
                  Deploy a compose file
                </Button>
              )
            }
          >
            {containers.data.reported_at
              ? "The device has no containers."
              : "The device has not reported its containers so far."}
          </Empty>
        </div>
      )}
      {[...stacks].map(([stack, members]) => (
        <section key={stack} className={classes.stack} aria-label={stack || "Other containers"}>
          <Group justify="space-between" gap="xs">
            <Title order={2} size="h4">
              {stack || "Other containers"}
            </Title>
            <Text size="sm" c="dimmed">
              Reported <Ago at={containers.data?.reported_at ?? null} />
            </Text>
          </Group>
          {members.map((item) => (
            <Row
              key={item.id}
              item={item}
              device={device}
              services={services.data?.items ?? []}
              reached={containerName(item, items)}
              onExpose={setTarget}
            />
          ))}
        </section>
      ))}
      <Services
        device={device}
        query={services}
        onExpose={can.expose ? () => setTarget({ container: "", port: null }) : undefined}
      />
      <ExposeDialog
        device={device}
        containers={items}
        taken={services.data?.items ?? []}
        target={target}
        onClose={() => setTarget(null)}
      />
    </>
  );
}

/** What the state's word leaves open: since when it runs, or how it ended. */
function Since({ item }: { item: Container }) {
  if (failed(item)) return <>Ended with exit code {item.exit_code}</>;
  if (!item.started_at) return <>{item.status}</>;
  return (
    <>
      Started <Ago at={item.started_at} />
    </>
  );
}

function Row(props: {
  item: Container;
  device: Device;
  services: ExposedService[];
  /** What the device takes for this container's service. */
  reached: string;
  onExpose: (target: ExposeTarget) => void;
}) {
  const { item, device, services, reached, onExpose } = props;
  const can = usePermissions();
  const name = item.service ?? item.name;
  const offline = device.status === "offline" || device.status === "pending";
  const ports = item.ports.filter((port) => port.protocol === "tcp");
  return (
    <article className={classes.item} aria-label={name}>
      <div>
        <Text fw={600}>{name}</Text>
        <span className={`${classes.sub} mono`} title={item.image}>
          {shortImage(item.image)}
        </span>
      </div>
      <div>
        <div className={classes.states}>
          <Status status={item.state} {...(failed(item) ? { tone: "error" as const } : {})} />
          {item.health && item.health !== "none" && <Status status={item.health} />}
        </div>
        <div className={classes.sub} style={{ marginTop: 4 }}>
          <Since item={item} />
        </div>
      </div>
      <div className={classes.ports}>
        {ports.length === 0 && <span className={classes.sub}>No ports</span>}
        {ports.map(({ container_port: port }) => {
          const service = services.find(
            (each) =>
              each.internal_port === port &&
              [reached, `${item.stack}/${item.service}`, item.name].includes(each.container_name),
          );
          if (service?.enabled && service.url) {
            return (
              <Button
                key={port}
                component="a"
                href={service.url}
                target="_blank"
                rel="noreferrer"
                size="compact-sm"
                variant="light"
                rightSection={<IconExternalLink size={14} aria-hidden />}
                aria-label={`Open ${port} of ${name} in a new tab`}
              >
                Open {port}
              </Button>
            );
          }
          return can.expose && !service ? (
            <Button
              key={port}
              size="compact-sm"
              variant="default"
              leftSection={<IconWorldPlus size={14} aria-hidden />}
              onClick={() => onExpose({ container: reached, port })}
              aria-label={`Expose ${port} of ${name}`}
            >
              Expose {port}
            </Button>
          ) : (
            <span key={port} className="mono">
              {port}
            </span>
          );
        })}
      </div>
      {can.containerTerminal && (
        <Button
          variant="default"
          size="xs"
          leftSection={<IconTerminal2 size={16} aria-hidden />}
          disabled={offline || item.state !== "running"}
          aria-label={`Open terminal in ${name}`}
          onClick={() =>
            terminals.open({ deviceId: device.id, deviceName: device.name, container: item.name })
          }
        >
          Open terminal
        </Button>
      )}
    </article>
  );
}

function failed(item: Container): boolean {
  return item.state === "exited" && item.exit_code !== null && item.exit_code !== 0;
}
