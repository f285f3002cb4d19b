import { Button, Group, Text } from "@mantine/core";
import { IconCircleCheck, IconPlugConnectedX, IconRefresh, IconX } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import type { TerminalState } from "./connection";
import classes from "./dock.module.css";

/** How a terminal's program ended, in words. */
export function endedWords(state: TerminalState): string {
  if (state.phase === "lost") return state.reason;
  if (state.phase !== "ended") return "";
  if (state.signal !== null) return `Ended by signal ${state.signal}.`;
  if (state.code === null) return "Ended.";
  return `Ended with exit code ${state.code}.`;
}

/** The banner below a terminal that is over: why, and the way on. */
export function Ended(props: {
  state: TerminalState;
  focused: boolean;
  onReconnect: () => void;
  onClose: () => void;
}) {
  const reconnect = useRef<HTMLButtonElement>(null);
  const { focused } = props;
  useEffect(() => {
    if (focused) reconnect.current?.focus();
  }, [focused]);
  const fine = props.state.phase === "ended" && props.state.code === 0;
  return (
    <div className={classes.ended} role="alert" data-fine={fine || undefined}>
      <Group gap={8} wrap="nowrap">
        {fine ? (
          <IconCircleCheck size={18} aria-hidden />
        ) : (
          <IconPlugConnectedX size={18} aria-hidden />
        )}
        <Text size="sm" fw={550} span>
          {endedWords(props.state)}
        </Text>
      </Group>
      <Group gap="xs" wrap="nowrap">
        <Button
          ref={reconnect}
          size="xs"
          leftSection={<IconRefresh size={15} aria-hidden />}
          onClick={props.onReconnect}
        >
          Reconnect
        </Button>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconX size={15} aria-hidden />}
          onClick={props.onClose}
        >
          Close
        </Button>
      </Group>
    </div>
  );
}
