import { notifications } from "@mantine/notifications";
import { IconAlertTriangle, IconCheck, IconX } from "@tabler/icons-react";
import { explain } from "../api/messages";

const close = { "aria-label": "Dismiss" };

/** Short messages at the corner of the screen, for the outcome of what somebody just did. */
export const tell = {
  done(title: string, message = ""): void {
    const icon = <IconCheck size={18} aria-hidden />;
    notifications.show({ title, message, icon, color: "teal", closeButtonProps: close });
  },
  warning(title: string, message: string): void {
    const icon = <IconAlertTriangle size={18} aria-hidden />;
    notifications.show({ title, message, icon, color: "yellow", closeButtonProps: close });
  },
  failed(title: string, reason: unknown): void {
    const icon = <IconX size={18} aria-hidden />;
    notifications.show({
      title,
      message: explain(reason),
      icon,
      color: "red",
      closeButtonProps: close,
      autoClose: 10_000,
    });
  },
};
