/** Whether a paste would run something: a line break is an Enter key to a shell. */
export function runsLines(text: string): boolean {
  return /[\r\n]/.test(text);
}

/** Lines that a paste consists of, a last empty one not counted. */
export function countLines(text: string): number {
  return text
    .replace(/\r\n?|\n$/g, "\n")
    .replace(/\n$/, "")
    .split("\n").length;
}
