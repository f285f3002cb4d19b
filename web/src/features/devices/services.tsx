import {
  ActionIcon,
  Anchor,
  Badge,
  Button,
  Group,
  Modal,
  Stack,
  Switch,
  Text,
  Title,
  Tooltip,
} from "@mantine/core";
import { IconLock, IconTrash, IconWorld, IconWorldPlus } from "@tabler/icons-react";
import { type UseQueryResult, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { client } from "../../api/client";
import { keys } from "../../api/queries";
import type { Device, ExposedService, Page } from "../../api/types";
import { Copy } from "../../ui/copy";
import { tell } from "../../ui/notify";
import { Failed } from "../../ui/problems";
import { usePermissions } from "../auth/session";
import classes from "./containers.module.css";

/** The container ports that outside users reach at the device's subdomain. */
export function Services(props: {
  device: Device;
  query: UseQueryResult<Page<ExposedService>>;
  onExpose: (() => void) | undefined;
}) {
  const { device, query } = props;
  const items = query.data?.items ?? [];
  return (
    <section className={classes.stack} aria-label="Exposed services">
      <Group justify="space-between" gap="xs">
        <div>
          <Title order={2} size="h4">
            Exposed services
          </Title>
          <Text size="sm" c="dimmed">
            Container ports that people reach at an address of their own.
          </Text>
        </div>
        {props.onExpose && (
          <Button
            size="xs"
            variant="default"
            leftSection={<IconWorldPlus size={16} aria-hidden />}
            onClick={props.onExpose}
          >
            Expose port
          </Button>
        )}
      </Group>
      {query.isError && (
        <Failed
          what="The exposed services"
          error={query.error}
          retry={() => void query.refetch()}
          busy={query.isFetching}
        />
      )}
      {query.data && items.length === 0 && (
        <Text size="sm" c="dimmed">
          None so far.
        </Text>
      )}
      {items.map((service) => (
        <Row key={service.id} device={device} service={service} />
      ))}
    </section>
  );
}

function Row({ device, service }: { device: Device; service: ExposedService }) {
  const queries = useQueryClient();
  const can = usePermissions();
  const [deleting, setDeleting] = useState(false);
  const key = keys.services(device.id);
  const path = `/api/devices/${device.id}/exposed-services/${service.id}`;
  const toggle = useMutation({
    mutationFn: (on: boolean) => client.post<void>(`${path}/${on ? "enable" : "disable"}`),
    onMutate: async (on) => {
      await queries.cancelQueries({ queryKey: key });
      const before = queries.getQueryData<Page<ExposedService>>(key);
      queries.setQueryData<Page<ExposedService>>(key, (page) =>
        page
          ? {
              ...page,
              items: page.items.map((item) =>
                item.id === service.id ? { ...item, enabled: on } : item,
              ),
            }
          : page,
      );
      return before;
    },
    onError: (reason, on, before) => {
      queries.setQueryData(key, before);
      tell.failed(`${service.name} could not be ${on ? "enabled" : "disabled"}`, reason);
    },
    onSettled: () => queries.invalidateQueries({ queryKey: key }),
  });
  const remove = useMutation({
    mutationFn: () => client.delete<void>(path),
    onSuccess: () => {
      setDeleting(false);
      tell.done(`${service.name} is no longer exposed`);
      return queries.invalidateQueries({ queryKey: key });
    },
    onError: (reason) => tell.failed(`${service.name} could not be removed`, reason),
  });
  return (
    <article className={classes.service} aria-label={`Service ${service.name}`}>
      <div>
        <Text fw={600}>{service.name}</Text>
        <span className={`${classes.sub} mono`}>
          {service.container_name}:{service.internal_port}
        </span>
      </div>
      <Group gap={4} wrap="nowrap">
        {service.url && service.enabled ? (
          <>
            <Anchor href={service.url} target="_blank" rel="noreferrer" size="sm">
              {service.url}
            </Anchor>
            <Copy value={service.url} label={`Copy the address of ${service.name}`} />
          </>
        ) : (
          <Text size="sm" c="dimmed">
            {service.enabled ? "The device has no public address" : "Switched off"}
          </Text>
        )}
      </Group>
      <div>
        {service.auth_required ? (
          <Badge variant="light" color="gray" leftSection={<IconLock size={12} />} tt="none">
            Signed-in people
          </Badge>
        ) : (
          <Badge variant="light" color="yellow" leftSection={<IconWorld size={12} />} tt="none">
            Anyone
          </Badge>
        )}
      </div>
      {can.expose && (
        <Group gap="sm" wrap="nowrap">
          <Switch
            aria-label={`${service.name} is reachable`}
            checked={service.enabled}
            onChange={(event) => toggle.mutate(event.currentTarget.checked)}
          />
          <Tooltip label="Stop exposing">
            <ActionIcon
              variant="subtle"
              color="gray"
              size={32}
              aria-label={`Stop exposing ${service.name}`}
              onClick={() => setDeleting(true)}
            >
              <IconTrash size={17} />
            </ActionIcon>
          </Tooltip>
        </Group>
      )}
      <Modal
        opened={deleting}
        onClose={() => setDeleting(false)}
        title={`Stop exposing ${service.name}?`}
      >
        <Stack gap="lg">
          <Text size="sm">
            {service.url ?? "Its address"} stops working at once. The container keeps running.
          </Text>
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={() => setDeleting(false)}>
              Cancel
            </Button>
            <Button color="red" loading={remove.isPending} onClick={() => remove.mutate()}>
              Stop exposing
            </Button>
          </Group>
        </Stack>
      </Modal>
    </article>
  );
}
