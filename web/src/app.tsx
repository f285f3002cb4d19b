import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { session } from "./api/client";
import { toApiError } from "./api/errors";
import { router } from "./router";
import { schemeManager, theme } from "./ui/theme";

/** Times a failed read is tried again; only when the server or the way to it was at fault. */
const RETRIES = 2;

function makeQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        retry: (failures, reason) => {
          const { status, code } = toApiError(reason);
          return failures < RETRIES && code !== "console_error" && (status === 0 || status >= 500);
        },
      },
    },
  });
}

export function App() {
  const [queries] = useState(makeQueries);
  useEffect(
    () =>
      session.subscribe(() => {
        // The next person at this browser must not see what the last one was allowed to.
        if (session.state.phase === "signed-out") queries.clear();
      }),
    [queries],
  );
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto" colorSchemeManager={schemeManager}>
      <Notifications position="top-right" autoClose={6000} limit={4} />
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  );
}
