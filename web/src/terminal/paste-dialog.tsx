import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useEffect, useState } from "react";
import classes from "./dock.module.css";
import { countLines } from "./paste";

/** Asks before several lines are pasted: a shell runs each as soon as it arrives. */
export function PasteDialog(props: {
  text: string | null;
  onPaste: (text: string) => void;
  onClose: () => void;
}) {
  const [shown, setShown] = useState("");
  useEffect(() => {
    if (props.text !== null) setShown(props.text);
  }, [props.text]);
  return (
    <Modal
      opened={props.text !== null}
      onClose={props.onClose}
      title={`Paste ${countLines(shown)} lines?`}
      returnFocus={false}
      zIndex={400}
    >
      <Stack gap="md">
        <Text size="sm">The shell may run each line at once.</Text>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
        <pre className={classes.pasted} tabIndex={0}>
          {shown}
        </pre>
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={props.onClose}>
            Cancel
          </Button>
          <Button data-autofocus onClick={() => props.onPaste(shown)}>
            Paste
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
