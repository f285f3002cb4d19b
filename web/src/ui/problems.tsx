import { Alert, Button, Group, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconMapQuestion } from "@tabler/icons-react";
import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { explain } from "../api/messages";
import { useTitle } from "./page";

/** A read that failed: what happened and a way to try again; data already shown stays. */
export function Failed(props: { what: string; error: unknown; retry: () => void; busy?: boolean }) {
  return (
    <Alert
      color="red"
      role="alert"
      title={`${props.what} can't be shown`}
      icon={<IconAlertTriangle aria-hidden />}
      mb="md"
    >
      <Group justify="space-between" gap="sm">
        <Text size="sm">{explain(props.error)}</Text>
        <Button size="xs" variant="default" onClick={props.retry} loading={props.busy ?? false}>
          Try again
        </Button>
      </Group>
    </Alert>
  );
}

/** A place with nothing in it yet: what it is for, and the one thing to do. */
export function Empty(props: {
  icon: ReactNode;
  title: string;
  children: ReactNode;
  action?: ReactNode;
  /** Whether it is all that the page has to say. */
  page?: boolean;
}) {
  return (
    <Stack align="center" gap="xs" py={56} px="md" ta="center" maw={520} mx="auto">
      <span style={{ color: "var(--e-accent)" }} aria-hidden="true">
        {props.icon}
      </span>
      <Title order={props.page ? 1 : 2} size="h4" mt="xs">
        {props.title}
      </Title>
      <Text c="dimmed" size="sm" component="div">
        {props.children}
      </Text>
      {props.action && <Group mt="md">{props.action}</Group>}
    </Stack>
  );
}

export function NotFound() {
  useTitle("Not found");
  return (
    <main>
      <Empty
        icon={<IconMapQuestion size={44} stroke={1.5} />}
        page
        title="There is nothing at this address"
        action={
          <Button component={Link} to="/devices">
            Go to devices
          </Button>
        }
      >
        The link may be old, or what it pointed to has been deleted.
      </Empty>
    </main>
  );
}

/** A page that broke. New assets after an upgrade of the server are the usual cause. */
export function Crashed({ error }: ErrorComponentProps) {
  return (
    <Empty
      icon={<IconAlertTriangle size={44} stroke={1.5} />}
      page
      title="This page has stopped working"
      action={<Button onClick={() => location.reload()}>Reload the console</Button>}
    >
      {explain(error)}
    </Empty>
  );
}
