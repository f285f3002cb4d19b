import { Group, Stack, Text, Title } from "@mantine/core";
import { useRouterState } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef } from "react";

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Edgetainer`;
  }, [title]);
}

/** Set by the first page that is shown: its heading must not take focus from the address bar. */
let shownBefore = false;

/** A page's h1. It takes focus when the route changes, so that a screen reader follows. */
export function Heading({ title, children }: { title: string; children?: ReactNode }) {
  useTitle(title);
  const heading = useRef<HTMLHeadingElement>(null);
  const page = useRouterState({
    select: (router) => router.location.pathname.split("/").slice(0, 3).join("/"),
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: `page` says when to move the focus
  useEffect(() => {
    if (shownBefore) heading.current?.focus({ preventScroll: true });
    shownBefore = true;
  }, [page]);
  return (
    <Title order={1} size="h2" ref={heading} tabIndex={-1} style={{ overflowWrap: "anywhere" }}>
      {children ?? title}
    </Title>
  );
}

/** A page's head: heading, a line about it and the actions on it. */
export function PageHead(props: { title: string; about?: ReactNode; actions?: ReactNode }) {
  return (
    <Group justify="space-between" align="flex-end" gap="md" mb="lg">
      <Stack gap={2}>
        <Heading title={props.title} />
        {props.about && (
          <Text c="dimmed" size="sm">
            {props.about}
          </Text>
        )}
      </Stack>
      {props.actions}
    </Group>
  );
}
