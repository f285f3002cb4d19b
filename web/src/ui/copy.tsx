import { ActionIcon, CopyButton, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import classes from "./copy.module.css";

export function Copy({ value, label }: { value: string; label: string }) {
  return (
    <CopyButton value={value} timeout={2000}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? "Copied" : label}>
          <ActionIcon
            variant="subtle"
            color={copied ? "teal" : "gray"}
            size={28}
            onClick={copy}
            aria-label={copied ? "Copied" : label}
          >
            {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

/** Commands to run somewhere else, ready to copy. */
export function CommandBlock({ text, label }: { text: string; label: string }) {
  return (
    <div className={classes.block}>
      <section className={classes.scroll} aria-label={label}>
        <pre>
          <code>{text}</code>
        </pre>
      </section>
      <div className={classes.button}>
        <Copy value={text} label={`Copy: ${label}`} />
      </div>
    </div>
  );
}
