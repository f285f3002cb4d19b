import { Alert, Button, Group, Loader, Modal, Select, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheckFilled } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { client } from "../../api/client";
import { explain } from "../../api/messages";
import { devicesQuery, fleetsQuery, keys } from "../../api/queries";
import type { ProvisionToken } from "../../api/types";
import { CommandBlock } from "../../ui/copy";
import { Status } from "../../ui/status";
import classes from "./add.module.css";
import { agentCommands } from "./commands";

interface Created {
  token: string;
  /** Devices that were there before: whichever comes now is the new one. */
  before: Set<string>;
}

const LIFETIMES = [
  { value: "3600", label: "1 hour" },
  { value: "86400", label: "1 day" },
  { value: "604800", label: "7 days" },
];

/** Makes a one-time token, shows it once and waits until the device is here. */
export function AddDevice({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const [created, setCreated] = useState<Created | null>(null);
  useEffect(() => {
    if (opened) setCreated(null);
  }, [opened]);
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Add a device"
      size={created ? "xl" : "md"}
      closeOnClickOutside={!created}
    >
      {created ? (
        <Instructions created={created} onClose={onClose} />
      ) : (
        <Form onCreated={setCreated} onClose={onClose} />
      )}
    </Modal>
  );
}

function Form(props: { onCreated: (created: Created) => void; onClose: () => void }) {
  const queries = useQueryClient();
  const fleets = useQuery(fleetsQuery);
  const [fleet, setFleet] = useState<string | null>(null);
  const [lifetime, setLifetime] = useState("3600");
  const create = useMutation({
    mutationFn: async () => {
      const devices = await queries.fetchQuery({ ...devicesQuery, staleTime: 0 });
      const reply = await client.post<ProvisionToken>("/api/provision/tokens", {
        ...(fleet ? { fleet_id: fleet } : {}),
        uses: 1,
        expires_in_s: Number(lifetime),
      });
      return { token: reply.token ?? "", before: new Set(devices.items.map((item) => item.id)) };
    },
    onSuccess: (created) => {
      void queries.invalidateQueries({ queryKey: keys.tokens });
      props.onCreated(created);
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <Stack gap="md">
        <Text size="sm" c="dimmed">
          You get a token that lets one device join. It is shown only once.
        </Text>
        {create.isError && (
          <Alert color="red" role="alert" icon={<IconAlertTriangle aria-hidden />}>
            {explain(create.error)}
          </Alert>
        )}
        <Select
          label="Fleet"
          placeholder="No fleet"
          description="What the fleet runs is installed as soon as the device is here."
          data={(fleets.data?.items ?? []).map(({ id, name }) => ({ value: id, label: name }))}
          value={fleet}
          onChange={setFleet}
          clearable
          clearButtonProps={{ "aria-label": "Clear the fleet" }}
          nothingFoundMessage="There is no fleet yet"
        />
        <Select
          label="The token is good for"
          data={LIFETIMES}
          value={lifetime}
          onChange={(value) => setLifetime(value ?? "3600")}
          allowDeselect={false}
        />
        <Group justify="flex-end" gap="sm" mt="xs">
          <Button variant="default" onClick={props.onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} data-autofocus>
            Create token
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function Instructions({ created, onClose }: { created: Created; onClose: () => void }) {
  return (
    <Stack gap="md">
      <div>
        <Text fw={600} size="sm" mb={6}>
          1. Your one-time token
        </Text>
        <div data-testid="enrolment-token">
          <CommandBlock label="One-time token" text={created.token} />
        </div>
        <Text size="xs" c="dimmed" mt={6}>
          Shown only now: copy it before you close this window.
        </Text>
      </div>
      <div>
        <Text fw={600} size="sm" mb={6}>
          2. Run this on the device
        </Text>
        <CommandBlock
          label="Commands for the device"
          text={agentCommands(location.origin, created.token)}
        />
        <Text size="xs" c="dimmed" mt={6}>
          With a self-issued server certificate, copy the server's <code>tls/ca.pem</code> to the
          device as <code>/etc/edgetainer/ca.pem</code> and remove the # before <code>ca_file</code>
          .
        </Text>
      </div>
      <Arrival before={created.before} onClose={onClose} />
    </Stack>
  );
}

/** Milliseconds after which waiting deserves a hint. */
const HINT_AFTER_MS = 60_000;

function Arrival({ before, onClose }: { before: Set<string>; onClose: () => void }) {
  const { data } = useQuery(devicesQuery);
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), HINT_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  const device = data?.items.find((item) => !before.has(item.id));
  return (
    <div className={classes.arrival} role="status" data-here={device ? true : undefined}>
      {device ? (
        <Group justify="space-between" gap="sm">
          <Group gap="sm">
            <IconCircleCheckFilled size={22} aria-hidden className={classes.check ?? ""} />
            <Text fw={600}>{device.name} is here</Text>
            <Status status={device.status} />
          </Group>
          <Button component={Link} to={`/devices/${device.id}`} onClick={onClose} size="sm">
            Open device
          </Button>
        </Group>
      ) : (
        <Group gap="sm" wrap="nowrap" align="flex-start">
          <Loader size={18} mt={2} aria-hidden />
          <div>
            <Text fw={550} size="sm">
              Waiting for the device…
            </Text>
            {slow && (
              <Text size="sm" c="dimmed">
                Still nothing. Look at the agent's output on the device: it says why it can't join.
                It must reach {location.host} over TCP and the tunnel's port over UDP.
              </Text>
            )}
          </div>
        </Group>
      )}
    </div>
  );
}
