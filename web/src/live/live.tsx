import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from "react";
import { client } from "../api/client";
import { LiveCache } from "./cache";
import { HubSocket, type Listener, SILENCE_MS } from "./socket";
import { devicesListener } from "./topics";

interface Live {
  hub: HubSocket;
  cache: LiveCache;
}

const LiveContext = createContext<Live | null>(null);

export function LiveProvider({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const [hub] = useState(
    () =>
      new HubSocket({
        url: `${location.origin.replace(/^http/, "ws")}/ws`,
        ticket: async () => (await client.post<{ ticket: string }>("/api/hub/ticket")).ticket,
      }),
  );
  const cache = useMemo(() => new LiveCache(queries), [queries]);
  useEffect(() => {
    const unsubscribe = hub.subscribe("devices", devicesListener(cache));
    hub.start();
    return () => {
      unsubscribe();
      hub.stop();
    };
  }, [hub, cache]);
  const live = useMemo(() => ({ hub, cache }), [hub, cache]);
  return <LiveContext.Provider value={live}>{children}</LiveContext.Provider>;
}

function useLive(): Live {
  const live = useContext(LiveContext);
  if (!live) throw new Error("LiveProvider is missing");
  return live;
}

/** Subscribes while the component is shown. `listen` must be stable for the same topic. */
export function useTopic(topic: string, listen: (cache: LiveCache) => Listener): void {
  const { hub, cache } = useLive();
  useEffect(() => hub.subscribe(topic, listen(cache)), [hub, cache, topic, listen]);
}

export type Freshness = "live" | "connecting" | "stale";

/** Whether what is shown is live. A gap shorter than five seconds isn't worth a word. */
export function useFreshness(): Freshness {
  const { hub } = useLive();
  const phase = useSyncExternalStore(hub.watch, hub.getPhase);
  const [stale, setStale] = useState(false);
  const live = phase === "live";
  useEffect(() => {
    if (live) return setStale(false);
    // Counted from its last word: a socket that died in silence has been stale for a while.
    const timer = setTimeout(() => setStale(true), Math.max(0, SILENCE_MS - hub.silentFor()));
    return () => clearTimeout(timer);
  }, [live, hub]);
  if (live) return "live";
  return stale ? "stale" : phase === "lost" ? "live" : "connecting";
}
