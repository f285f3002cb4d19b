import { toApiError } from "./errors";

/** What we say for a code. A code without an entry shows the server's own sentence. */
const MESSAGES: Record<string, string> = {
  network: "The server can't be reached. Check your connection and try again.",
  timeout: "The server took too long to answer. Try again in a moment.",
  invalid_credentials: "That user name and password don't match.",
  too_many_attempts: "Too many attempts. Wait a minute, then try again.",
  session_expired: "Your session has ended. Sign in again to continue.",
  unauthenticated: "Sign in to continue.",
  forbidden: "Your role doesn't permit this. Ask an administrator.",
  origin_refused:
    "This page isn't the console that the server expects. Open the console's own address.",
  device_offline: "The device is offline. Try again when it is back.",
  device_timeout: "The device didn't answer in time. Its link may be slow; try again.",
  session_replaced:
    "The device reconnected and this connection was dropped. Reconnect to continue.",
  session_closed: "The device's connection was closed. Reconnect to continue.",
  channel_limit: "Too many connections are open to this device. Close one and try again.",
  docker_unavailable: "No Docker Engine answers on the device.",
  ticket_invalid: "That took too long to open. Try again.",
  unavailable: "The server isn't available just now. Try again in a moment.",
  internal: "Something went wrong on the server. Its log says more.",
};

/** One sentence for a person, chosen by the error's code and never by the server's prose. */
export function explain(reason: unknown): string {
  const error = toApiError(reason);
  return MESSAGES[error.code] ?? error.detail;
}
