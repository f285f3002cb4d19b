import {
  Alert,
  Button,
  Group,
  Modal,
  NumberInput,
  Radio,
  Select,
  Stack,
  Text,
  TextInput,
} from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { client } from "../../api/client";
import { toApiError } from "../../api/errors";
import { explain } from "../../api/messages";
import { keys } from "../../api/queries";
import type { Container, Device, ExposedService, NewExposedService } from "../../api/types";
import { tell } from "../../ui/notify";
import { usePermissions } from "../auth/session";
import { containerName, serviceAddress, serviceName } from "./address";

export interface ExposeTarget {
  container: string;
  port: number | null;
}

export function ExposeDialog(props: {
  device: Device;
  containers: Container[];
  taken: ExposedService[];
  target: ExposeTarget | null;
  onClose: () => void;
}) {
  // Kept while the dialog fades out, so that it doesn't empty before one's eyes.
  const [target, setTarget] = useState(props.target);
  useEffect(() => {
    if (props.target) setTarget(props.target);
  }, [props.target]);
  return (
    <Modal opened={props.target !== null} onClose={props.onClose} title="Expose a port">
      {target && <Form key={`${target.container}:${target.port}`} {...props} target={target} />}
    </Modal>
  );
}

function Form(props: {
  device: Device;
  containers: Container[];
  taken: ExposedService[];
  target: ExposeTarget;
  onClose: () => void;
}) {
  const { device, target } = props;
  const can = usePermissions();
  const queries = useQueryClient();
  const names = [...new Set(props.containers.map((item) => containerName(item, props.containers)))];
  const [container, setContainer] = useState(target.container || (names[0] ?? ""));
  const [port, setPort] = useState<number | string>(target.port ?? "");
  const [name, setName] = useState(
    serviceName(
      target.container || (names[0] ?? ""),
      props.taken.map((item) => item.name),
    ),
  );
  const [who, setWho] = useState("signed-in");
  const [checked, setChecked] = useState(false);
  const expose = useMutation({
    mutationFn: () =>
      client.post<ExposedService>(`/api/devices/${device.id}/exposed-services`, {
        name: name.trim(),
        container_name: container.trim(),
        internal_port: Number(port),
        auth_required: who === "signed-in",
      } satisfies NewExposedService),
    onSuccess: (service) => {
      tell.done(`${service.name} is exposed`, service.url ?? "");
      props.onClose();
      return queries.invalidateQueries({ queryKey: keys.services(device.id) });
    },
  });
  const error = expose.isError ? toApiError(expose.error) : null;
  const wrong = (field: string) => (error?.field === field ? explain(error) : undefined);
  const nameFault = name.trim() === "" ? "Give it a name." : undefined;
  const portFault = Number(port) >= 1 ? undefined : "Name the port in the container.";
  const containerFault = container.trim() === "" ? "Name the container." : undefined;

  function submit(event: FormEvent) {
    event.preventDefault();
    setChecked(true);
    if (!nameFault && !portFault && !containerFault) expose.mutate();
  }

  const address = serviceAddress(device.url, name.trim());
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        {error && !["name", "container_name", "internal_port"].includes(error.field ?? "") && (
          <Alert color="red" role="alert" icon={<IconAlertTriangle aria-hidden />}>
            {explain(error)}
          </Alert>
        )}
        <Group grow align="flex-start" gap="sm">
          {names.length > 0 ? (
            <Select
              label="Container"
              data={names.includes(container) ? names : [container, ...names]}
              value={container}
              onChange={(value) => setContainer(value ?? container)}
              allowDeselect={false}
              error={wrong("container_name")}
            />
          ) : (
            <TextInput
              label="Container"
              description="A service of the compose file, or stack/service"
              value={container}
              onChange={(event) => setContainer(event.currentTarget.value)}
              error={(checked && containerFault) || wrong("container_name")}
            />
          )}
          <NumberInput
            label="Port in the container"
            value={port}
            onChange={setPort}
            min={1}
            max={65535}
            allowDecimal={false}
            allowNegative={false}
            hideControls
            error={(checked && portFault) || wrong("internal_port")}
          />
        </Group>
        <TextInput
          label="Name"
          description="Part of the address: lower-case letters, digits and single hyphens"
          value={name}
          onChange={(event) => setName(event.currentTarget.value.toLowerCase())}
          autoComplete="off"
          spellCheck={false}
          error={(checked && nameFault) || wrong("name")}
          data-autofocus
        />
        {address && (
          <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
            Reached at <span className="mono">{address}</span>
          </Text>
        )}
        <Radio.Group label="Who may open it" value={who} onChange={setWho}>
          <Stack gap="xs" mt={6}>
            <Radio
              value="signed-in"
              label="People who are signed in"
              description="Others are asked to sign in to the console first"
            />
            <Radio
              value="anyone"
              disabled={!can.exposePublicly}
              label="Anyone who knows the address"
              description={
                can.exposePublicly
                  ? "Nothing but the container itself asks who they are"
                  : "Only an administrator may open it to everyone"
              }
            />
          </Stack>
        </Radio.Group>
        <Group justify="flex-end" gap="sm" mt="xs">
          <Button variant="default" onClick={props.onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={expose.isPending}>
            Expose port
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
