import {
  Alert,
  Autocomplete,
  Button,
  FileButton,
  Group,
  Modal,
  SegmentedControl,
  Select,
  Stack,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { IconAlertTriangle, IconFileUpload } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { client } from "../../api/client";
import { toApiError } from "../../api/errors";
import { explain } from "../../api/messages";
import { keys, softwareQuery } from "../../api/queries";
import type { Deployment, Device, Software } from "../../api/types";
import { tell } from "../../ui/notify";
import { MAX_COMPOSE_BYTES, nameFromFile } from "./compose-file";
import classes from "./software.module.css";

export function DeployDialog(props: { device: Device; opened: boolean; onClose: () => void }) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title={`Deploy to ${props.device.name}`}
      size="lg"
      closeOnClickOutside={false}
    >
      <Form device={props.device} onClose={props.onClose} />
    </Modal>
  );
}

function Form({ device, onClose }: { device: Device; onClose: () => void }) {
  const software = useQuery(softwareQuery);
  const known = software.data?.items ?? [];
  const [way, setWay] = useState<"upload" | "known">("upload");
  return (
    <Stack gap="md">
      {known.length > 0 && (
        <SegmentedControl
          aria-label="What to deploy"
          value={way}
          onChange={(value) => setWay(value as typeof way)}
          data={[
            { value: "upload", label: "New version" },
            { value: "known", label: "Stored version" },
          ]}
        />
      )}
      {way === "upload" ? (
        <Upload device={device} known={known} onClose={onClose} />
      ) : (
        <Known device={device} known={known} onClose={onClose} />
      )}
    </Stack>
  );
}

function useDeployed(device: Device, onClose: () => void) {
  const queries = useQueryClient();
  return (deployment: Deployment) => {
    tell.done(
      `${deployment.software_name} is on its way`,
      device.status === "offline"
        ? "The device is offline; it starts when the device is back."
        : `${device.name} now fetches and starts it.`,
    );
    onClose();
    void queries.invalidateQueries({ queryKey: keys.software });
    return queries.invalidateQueries({ queryKey: keys.device(device.id) });
  };
}

function Upload(props: { device: Device; known: Software[]; onClose: () => void }) {
  const { device, known, onClose } = props;
  const deployed = useDeployed(device, onClose);
  const [name, setName] = useState("");
  const [version, setVersion] = useState("");
  const [compose, setCompose] = useState("");
  const [checked, setChecked] = useState(false);
  const [fileFault, setFileFault] = useState<string | null>(null);
  const resetFile = useRef<() => void>(null);
  /** What was uploaded already, when only the deploying after it failed. */
  const uploaded = useRef<{ text: string; software: Software } | null>(null);

  const deploy = useMutation({
    mutationFn: async () => {
      const text = JSON.stringify([name.trim(), version.trim(), compose]);
      if (uploaded.current?.text !== text) {
        const software = await client.post<Software>("/api/software/upload", {
          name: name.trim(),
          compose,
          ...(version.trim() ? { version: version.trim() } : {}),
        });
        uploaded.current = { text, software };
      }
      const { software } = uploaded.current;
      const wanted = version.trim() || software.current_version;
      return client.post<Deployment>(`/api/software/${software.id}/deploy`, {
        device_id: device.id,
        ...(wanted ? { version: wanted } : {}),
      });
    },
    onSuccess: deployed,
  });

  async function take(file: File | null) {
    resetFile.current?.();
    setFileFault(null);
    if (!file) return;
    if (file.size > MAX_COMPOSE_BYTES) {
      return setFileFault("The file is too large for a compose file (256 KiB at most).");
    }
    setCompose(await file.text());
    if (name === "") setName(nameFromFile(file.name));
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    setChecked(true);
    if (name.trim() && compose.trim()) deploy.mutate();
  }

  const error = deploy.isError ? toApiError(deploy.error) : null;
  const place = error === null ? null : faultPlace(error.code, error.field);
  const at = (which: string) => (place === which && error ? explain(error) : undefined);
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        {error && place === "form" && (
          <Alert color="red" role="alert" icon={<IconAlertTriangle aria-hidden />}>
            {explain(error)}
          </Alert>
        )}
        <Group grow align="flex-start" gap="sm">
          <Autocomplete
            label="Software"
            description="A new name, or one that is here for a new version"
            placeholder="web-kiosk"
            data={known.map((item) => item.name)}
            value={name}
            onChange={setName}
            error={(checked && name.trim() === "" && "Give it a name.") || at("name")}
            data-autofocus
          />
          <TextInput
            label="Version"
            description="Left empty, the server counts up"
            value={version}
            onChange={(event) => setVersion(event.currentTarget.value)}
            error={at("version")}
          />
        </Group>
        <div>
          <Textarea
            label="Compose file"
            classNames={{ input: classes.compose ?? "" }}
            placeholder={"services:\n  web:\n    image: nginx:1.29\n    ports:\n      - 80"}
            autosize
            minRows={9}
            maxRows={18}
            spellCheck={false}
            value={compose}
            onChange={(event) => setCompose(event.currentTarget.value)}
            error={
              fileFault ??
              ((checked && compose.trim() === "" && "Paste a compose file or choose one.") ||
                at("compose"))
            }
          />
          <Group gap="sm" mt={8}>
            <FileButton onChange={take} accept=".yml,.yaml,.json" resetRef={resetFile}>
              {(file) => (
                <Button
                  {...file}
                  size="xs"
                  variant="default"
                  leftSection={<IconFileUpload size={16} aria-hidden />}
                >
                  Choose file
                </Button>
              )}
            </FileButton>
            <Text size="xs" c="dimmed">
              docker-compose.yml or compose.yaml
            </Text>
          </Group>
        </div>
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={deploy.isPending}>
            Deploy
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

/** Beside which field an error belongs. */
function faultPlace(code: string, field: string | null): string {
  if (code === "compose_invalid" || field?.startsWith("compose")) return "compose";
  return field === "name" || field === "version" ? field : "form";
}

function Known(props: { device: Device; known: Software[]; onClose: () => void }) {
  const { device, known, onClose } = props;
  const deployed = useDeployed(device, onClose);
  const [id, setId] = useState<string | null>(known[0]?.id ?? null);
  const [version, setVersion] = useState<string | null>(null);
  const software = known.find((item) => item.id === id);
  const wanted = version ?? software?.current_version ?? null;
  const deploy = useMutation({
    mutationFn: () =>
      client.post<Deployment>(`/api/software/${id}/deploy`, {
        device_id: device.id,
        ...(wanted ? { version: wanted } : {}),
      }),
    onSuccess: deployed,
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        deploy.mutate();
      }}
    >
      <Stack gap="md">
        {deploy.isError && (
          <Alert color="red" role="alert" icon={<IconAlertTriangle aria-hidden />}>
            {explain(deploy.error)}
          </Alert>
        )}
        <Group grow gap="sm">
          <Select
            label="Software"
            data={known.map((item) => ({ value: item.id, label: item.name }))}
            value={id}
            onChange={(value) => {
              setId(value);
              setVersion(null);
            }}
            allowDeselect={false}
            searchable
          />
          <Select
            label="Version"
            data={software?.versions ?? []}
            value={wanted}
            onChange={setVersion}
            allowDeselect={false}
          />
        </Group>
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={deploy.isPending} disabled={!software}>
            Deploy
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
