/** Bytes; the server's own bound on a compose file. */
export const MAX_COMPOSE_BYTES = 256 * 1024;

/** A name for software from its file's: nothing when the file is called as all of them are. */
export function nameFromFile(file: string): string {
  const stem = file.replace(/\.(ya?ml|json)$/i, "").replace(/^(docker-)?compose[.-]?/i, "");
  return stem
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
}
