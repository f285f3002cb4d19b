import { Button, Center, Loader, Stack, Text, Title } from "@mantine/core";
import { IconDoorOff } from "@tabler/icons-react";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { client } from "../../api/client";
import { ApiError } from "../../api/errors";
import { explain } from "../../api/messages";
import { useTitle } from "../../ui/page";

const route = getRouteApi("/visit");

/** Hands a signed-in user over to the exposed service that sent them here. */
export function Visit() {
  useTitle("Opening");
  const { to } = route.useSearch();
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `attempt` asks again
  useEffect(() => {
    let left = false;
    setError(null);
    handOver(to).catch((reason) => !left && setError(reason));
    return () => {
      left = true;
    };
  }, [to, attempt]);

  return (
    <Center h="100dvh" component="main" p="lg">
      <Stack align="center" gap="sm" maw={440} ta="center">
        {error === null ? (
          <>
            <Loader aria-hidden />
            <Text role="status">Opening {host(to) ?? "the device's page"}…</Text>
          </>
        ) : (
          <>
            <IconDoorOff size={40} stroke={1.5} color="var(--e-error)" aria-hidden />
            <Title order={1} size="h3">
              This page can't be opened
            </Title>
            <Text c="dimmed" role="alert">
              {explain(error)}
            </Text>
            <Button onClick={() => setAttempt(attempt + 1)}>Try again</Button>
            <Button variant="subtle" component={Link} to="/devices">
              Go to the console
            </Button>
          </>
        )}
      </Stack>
    </Center>
  );
}

async function handOver(to: string | undefined): Promise<void> {
  if (host(to) === null) {
    throw new ApiError({
      code: "invalid_request",
      status: 0,
      detail: "The address to open is missing or malformed. Follow the device's link again.",
    });
  }
  const { redirect } = await client.post<{ redirect: string }>("/api/visits", { to });
  location.replace(redirect);
}

function host(to: string | undefined): string | null {
  try {
    const url = new URL(to ?? "");
    return url.protocol === "https:" || url.protocol === "http:" ? url.host : null;
  } catch {
    return null;
  }
}
