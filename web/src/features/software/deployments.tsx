import { Alert, Button, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { IconPackage, IconRocket } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { deploymentsQuery, deviceQuery } from "../../api/queries";
import type { Deployment } from "../../api/types";
import { Ago } from "../../ui/ago";
import { Empty, Failed } from "../../ui/problems";
import { Status } from "../../ui/status";
import { usePermissions } from "../auth/session";
import listClasses from "../devices/list.module.css";
import { DeployDialog } from "./deploy";
import classes from "./software.module.css";

/** What this device is told to run, and what it makes of it. */
export function Deployments() {
  const { deviceId } = useParams({ from: "/console/devices/$deviceId/software" });
  const { data: device } = useQuery(deviceQuery(deviceId));
  const deployments = useQuery(deploymentsQuery(deviceId));
  const can = usePermissions();
  const [deploying, setDeploying] = useState(false);
  if (!device || deployments.isPending) return <Skeleton height={140} radius="md" />;
  const items = deployments.data?.items ?? [];
  const deploy = can.deploy && (
    <Button leftSection={<IconRocket size={17} aria-hidden />} onClick={() => setDeploying(true)}>
      Deploy software
    </Button>
  );
  return (
    <>
      {deployments.isError && (
        <Failed
          what="The deployments"
          error={deployments.error}
          retry={() => void deployments.refetch()}
          busy={deployments.isFetching}
        />
      )}
      {deployments.data && items.length === 0 ? (
        <div className={listClasses.panel}>
          <Empty
            icon={<IconPackage size={44} stroke={1.5} />}
            title="No software is deployed here"
            action={deploy}
          >
            Upload a compose file and the device starts its containers. It keeps them running
            whether or not it is connected.
          </Empty>
        </div>
      ) : (
        <Stack gap="sm">
          <Group justify="space-between">
            <Title order={2} size="h4">
              Deployed on this device
            </Title>
            {deploy}
          </Group>
          {items.map((item) => (
            <Row key={item.id} item={item} offline={device.status === "offline"} />
          ))}
        </Stack>
      )}
      <DeployDialog device={device} opened={deploying} onClose={() => setDeploying(false)} />
    </>
  );
}

function Row({ item, offline }: { item: Deployment; offline: boolean }) {
  return (
    <article className={classes.row} aria-label={`${item.software_name} ${item.version}`}>
      <div>
        <Group gap="sm">
          <Text fw={600}>{item.software_name}</Text>
          <Text size="sm" c="dimmed" className="nums">
            version {item.version}
          </Text>
          <Status status={item.status} />
        </Group>
        <Text size="sm" c="dimmed" mt={2}>
          {item.fleet_id === null ? "Deployed to this device" : "Deployed to its fleet"} · changed{" "}
          <Ago at={item.updated_at} />
          {item.status === "pending" && offline && " · starts when the device is back"}
        </Text>
      </div>
      {item.detail && (
        <Alert color={item.status === "failed" ? "red" : "gray"} variant="light" p="xs">
          <Text
            size="sm"
            className="mono"
            style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}
          >
            {item.detail}
          </Text>
        </Alert>
      )}
    </article>
  );
}
