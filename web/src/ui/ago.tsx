import { Tooltip } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { absolute, ago } from "./format";

/** One clock for the whole page, ticking only while something shows a relative time. */
const TICK_MS = 5_000;
const watchers = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of watchers) each();
  }, TICK_MS);
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** A relative time that stays true, with the exact one on hover and focus. */
export function Ago({ at }: { at: string | null }) {
  useSyncExternalStore(watch, () => now);
  const words = ago(at, Math.max(now, Date.now() - TICK_MS));
  if (at === null) return <span>{words}</span>;
  return (
    <Tooltip label={absolute(at)} events={{ hover: true, focus: true, touch: true }}>
      <time dateTime={at} className="nums">
        {words}
      </time>
    </Tooltip>
  );
}
