/** `to` as a path on this console, or "/" when it points anywhere else. */
export function returnPath(to: string | undefined, origin: string): string {
  if (!to?.startsWith("/")) return "/";
  try {
    const url = new URL(to, origin);
    return url.origin === origin ? url.pathname + url.search + url.hash : "/";
  } catch {
    return "/";
  }
}
