import { Group, Skeleton, Stack, Text } from "@mantine/core";
import { IconPackage } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { softwareQuery } from "../../api/queries";
import { Ago } from "../../ui/ago";
import { plural } from "../../ui/format";
import { PageHead } from "../../ui/page";
import { Empty, Failed } from "../../ui/problems";
import listClasses from "../devices/list.module.css";
import classes from "./software.module.css";

export function SoftwarePage() {
  const software = useQuery(softwareQuery);
  const items = software.data?.items;
  return (
    <div>
      <PageHead title="Software" about="Compose files in versions that never change." />
      {software.isError && (
        <Failed
          what="The software"
          error={software.error}
          retry={() => void software.refetch()}
          busy={software.isFetching}
        />
      )}
      {software.isPending && <Skeleton height={140} radius="md" />}
      {items?.length === 0 && (
        <div className={listClasses.panel}>
          <Empty icon={<IconPackage size={44} stroke={1.5} />} title="No software yet">
            Open a device, choose Software and deploy a compose file to it. It is kept here with all
            its versions.
          </Empty>
        </div>
      )}
      <Stack gap="sm">
        {items?.map((item) => (
          <article key={item.id} className={classes.row} aria-label={item.name}>
            <Group justify="space-between" gap="sm">
              <Group gap="sm">
                <Text fw={600}>{item.name}</Text>
                {item.current_version && (
                  <Text size="sm" c="dimmed" className="nums">
                    version {item.current_version}
                  </Text>
                )}
              </Group>
              <Text size="sm" c="dimmed">
                {plural(item.versions.length, "version")} · changed <Ago at={item.updated_at} />
              </Text>
            </Group>
          </article>
        ))}
      </Stack>
    </div>
  );
}
