import { Button, Center, Loader, Stack, Text, Title } from "@mantine/core";
import { IconPlugConnectedX } from "@tabler/icons-react";
import { useRouter } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { session } from "../../api/client";
import { explain } from "../../api/messages";
import { UserContext, useSession } from "./session";

/** Shows its children to a signed-in user and sends everyone else to sign in and back. */
export function Guard({ children }: { children: ReactNode }) {
  const state = useSession();
  switch (state.phase) {
    case "signed-in":
      return <UserContext value={state.user}>{children}</UserContext>;
    case "restoring":
      return (
        <Center h="100dvh">
          <Loader aria-label="Loading" role="status" />
        </Center>
      );
    case "unreachable":
      return (
        <Center h="100dvh" component="main" p="lg">
          <Stack align="center" gap="sm" maw={420} ta="center">
            <IconPlugConnectedX size={40} stroke={1.5} color="var(--e-error)" aria-hidden />
            <Title order={1} size="h3">
              No connection
            </Title>
            <Text c="dimmed">{explain(state.error)}</Text>
            <Button onClick={() => void session.restore()}>Try again</Button>
          </Stack>
        </Center>
      );
    case "signed-out":
      return <ToSignIn back={state.reason !== "left"} />;
  }
}

/** Leaves for the sign-in page once; a route under way must not set it off again. */
function ToSignIn({ back }: { back: boolean }) {
  const router = useRouter();
  useEffect(() => {
    const here = router.latestLocation.href;
    if (router.latestLocation.pathname === "/login") return;
    const to = back && here !== "/" && here !== "/devices" ? here : undefined;
    void router.navigate({ to: "/login", search: { to }, replace: true });
  }, [router, back]);
  return null;
}
