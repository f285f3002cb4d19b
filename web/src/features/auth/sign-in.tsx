import { Alert, Button, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconAlertCircle, IconInfoCircle } from "@tabler/icons-react";
import { getRouteApi, Navigate, useRouter } from "@tanstack/react-router";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { session } from "../../api/client";
import { explain } from "../../api/messages";
import { Logo } from "../../ui/logo";
import { useTitle } from "../../ui/page";
import { returnPath } from "./return-path";
import { useSession } from "./session";
import classes from "./sign-in.module.css";

const route = getRouteApi("/login");

export function SignIn() {
  useTitle("Sign in");
  const state = useSession();
  const router = useRouter();
  const { to } = route.useSearch();
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [missing, setMissing] = useState({ username: false, password: false });
  const password = useRef<HTMLInputElement>(null);
  const username = useRef<HTMLInputElement>(null);
  const signedIn = state.phase === "signed-in";

  useEffect(() => {
    if (signedIn) router.history.replace(returnPath(to, location.origin));
  }, [signedIn, to, router]);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const name = String(form.get("username")).trim();
    const secret = String(form.get("password"));
    setMissing({ username: name === "", password: secret === "" });
    if (name === "") return username.current?.focus();
    if (secret === "") return password.current?.focus();
    setBusy(true);
    setError(null);
    try {
      await session.signIn(name, secret);
    } catch (reason) {
      setError(reason);
      password.current?.select();
      password.current?.focus();
    } finally {
      setBusy(false);
    }
  }

  if (state.phase === "unreachable") return <Navigate to="/" replace />;
  const expired = state.phase === "signed-out" && state.reason === "expired";
  return (
    <main className={classes.page}>
      <div className={classes.card}>
        <form onSubmit={submit} noValidate aria-label="Sign in">
          <Stack gap="md">
            <Stack gap={6} align="center" mb="xs">
              <Logo size={44} />
              <Title order={1} size="h3" mt={8}>
                Sign in to Edgetainer
              </Title>
              <Text c="dimmed" size="sm" ta="center">
                {to?.startsWith("/visit")
                  ? "This device's page is for signed-in people only."
                  : "Your devices, their containers and a shell on each."}
              </Text>
            </Stack>
            {error !== null ? (
              <Alert color="red" icon={<IconAlertCircle aria-hidden />} role="alert">
                {explain(error)}
              </Alert>
            ) : expired ? (
              <Alert icon={<IconInfoCircle aria-hidden />} role="status">
                Your session has ended. Sign in again to continue where you were.
              </Alert>
            ) : null}
            <TextInput
              ref={username}
              name="username"
              label="User name"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              size="md"
              data-autofocus
              autoFocus
              error={missing.username && "Enter your user name."}
              onChange={() => setMissing((old) => ({ ...old, username: false }))}
            />
            <PasswordInput
              ref={password}
              name="password"
              label="Password"
              autoComplete="current-password"
              size="md"
              visibilityToggleButtonProps={{ "aria-label": "Show password" }}
              error={missing.password && "Enter your password."}
              onChange={() => setMissing((old) => ({ ...old, password: false }))}
            />
            <Button type="submit" size="md" mt="xs" fullWidth loading={busy || signedIn}>
              Sign in
            </Button>
          </Stack>
        </form>
      </div>
    </main>
  );
}
