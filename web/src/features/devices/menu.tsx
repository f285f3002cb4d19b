import {
  ActionIcon,
  Alert,
  Button,
  Group,
  Menu,
  Modal,
  Stack,
  Text,
  TextInput,
} from "@mantine/core";
import { IconAlertTriangle, IconDots, IconPencil, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { client } from "../../api/client";
import { explain } from "../../api/messages";
import { keys } from "../../api/queries";
import type { Device } from "../../api/types";
import { tell } from "../../ui/notify";
import { usePermissions } from "../auth/session";

/** What can be done to the device itself. */
export function DeviceMenu({ device }: { device: Device }) {
  const can = usePermissions();
  const [dialog, setDialog] = useState<"rename" | "delete" | null>(null);
  if (!can.editDevice && !can.deleteDevice) return null;
  return (
    <>
      <Menu position="bottom-end" width={200}>
        <Menu.Target>
          <ActionIcon variant="default" size={36} aria-label="More actions on the device">
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          {can.editDevice && (
            <Menu.Item leftSection={<IconPencil size={16} />} onClick={() => setDialog("rename")}>
              Rename
            </Menu.Item>
          )}
          {can.deleteDevice && (
            <Menu.Item
              color="red"
              leftSection={<IconTrash size={16} />}
              onClick={() => setDialog("delete")}
            >
              Delete
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      <Modal opened={dialog === "rename"} onClose={() => setDialog(null)} title="Rename the device">
        <Rename device={device} onDone={() => setDialog(null)} />
      </Modal>
      <Modal
        opened={dialog === "delete"}
        onClose={() => setDialog(null)}
        title={`Delete ${device.name}?`}
      >
        <Delete device={device} onCancel={() => setDialog(null)} />
      </Modal>
    </>
  );
}

function Rename({ device, onDone }: { device: Device; onDone: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState(device.name);
  const rename = useMutation({
    mutationFn: () => client.put<Device>(`/api/devices/${device.id}`, { name: name.trim() }),
    onSuccess: (changed) => {
      queries.setQueryData(keys.device(device.id), changed);
      void queries.invalidateQueries({ queryKey: keys.devices });
      onDone();
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        rename.mutate();
      }}
    >
      <TextInput
        label="Name"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={rename.isError && explain(rename.error)}
        data-autofocus
      />
      <Group justify="flex-end" gap="sm" mt="lg">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={rename.isPending} disabled={name.trim() === ""}>
          Rename
        </Button>
      </Group>
    </form>
  );
}

function Delete({ device, onCancel }: { device: Device; onCancel: () => void }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [typed, setTyped] = useState("");
  const remove = useMutation({
    mutationFn: () => client.delete<void>(`/api/devices/${device.id}`),
    onSuccess: async () => {
      tell.done(`${device.name} is deleted`);
      await navigate({ to: "/devices" });
      queries.removeQueries({ queryKey: keys.device(device.id) });
      await queries.invalidateQueries({ queryKey: keys.devices });
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (typed === device.name) remove.mutate();
      }}
    >
      <Stack gap="md">
        <Text size="sm">
          Its key is revoked, its connection ends at once and its public addresses stop working.
          What runs on it keeps running. To come back it needs a new token.
        </Text>
        {remove.isError && (
          <Alert color="red" role="alert" icon={<IconAlertTriangle aria-hidden />}>
            {explain(remove.error)}
          </Alert>
        )}
        <TextInput
          label={`Type ${device.name} to confirm`}
          value={typed}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setTyped(event.currentTarget.value)}
          data-autofocus
        />
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={onCancel}>
            Cancel
          </Button>
          <Button
            type="submit"
            color="red"
            loading={remove.isPending}
            disabled={typed !== device.name}
          >
            Delete device
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
