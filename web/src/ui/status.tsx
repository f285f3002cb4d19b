import {
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleDashed,
  IconCircleX,
  IconClockHour4,
  IconPlayerPause,
  IconRefresh,
} from "@tabler/icons-react";
import type { ComponentType } from "react";
import classes from "./status.module.css";

export type Tone = "online" | "offline" | "updating" | "error" | "pending";

interface Look {
  word: string;
  tone: Tone;
  icon: ComponentType<{ size?: number; stroke?: number; "aria-hidden"?: boolean }>;
}

/** One word, icon and colour for each state, the same everywhere. */
const LOOKS: Record<string, Look> = {
  online: { word: "Online", tone: "online", icon: IconCircleCheck },
  offline: { word: "Offline", tone: "offline", icon: IconCircleX },
  updating: { word: "Updating", tone: "updating", icon: IconRefresh },
  error: { word: "Error", tone: "error", icon: IconAlertTriangle },
  pending: { word: "Pending", tone: "pending", icon: IconClockHour4 },
  running: { word: "Running", tone: "online", icon: IconCircleCheck },
  exited: { word: "Exited", tone: "offline", icon: IconCircleX },
  created: { word: "Created", tone: "pending", icon: IconClockHour4 },
  restarting: { word: "Restarting", tone: "pending", icon: IconRefresh },
  removing: { word: "Removing", tone: "pending", icon: IconClockHour4 },
  paused: { word: "Paused", tone: "pending", icon: IconPlayerPause },
  dead: { word: "Dead", tone: "error", icon: IconAlertTriangle },
  healthy: { word: "Healthy", tone: "online", icon: IconCircleCheck },
  unhealthy: { word: "Unhealthy", tone: "error", icon: IconAlertTriangle },
  starting: { word: "Starting", tone: "pending", icon: IconClockHour4 },
  deployed: { word: "Deployed", tone: "online", icon: IconCircleCheck },
  failed: { word: "Failed", tone: "error", icon: IconAlertTriangle },
};

export function lookOf(status: string): Look {
  return (
    LOOKS[status] ?? {
      word: status === "" ? "Unknown" : status.charAt(0).toUpperCase() + status.slice(1),
      tone: "offline",
      icon: IconCircleDashed,
    }
  );
}

export function Status({ status, tone }: { status: string; tone?: Tone }) {
  const look = lookOf(status);
  const Icon = look.icon;
  return (
    <span className={classes.status} data-tone={tone ?? look.tone} data-status={status}>
      <Icon size={15} stroke={2} aria-hidden />
      {look.word}
    </span>
  );
}
