import {
  ActionIcon,
  Avatar,
  Drawer,
  Menu,
  Text,
  Tooltip,
  UnstyledButton,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import {
  IconCheck,
  IconDeviceDesktop,
  IconLogout,
  IconMenu2,
  IconMoon,
  IconPackage,
  IconServer2,
  IconSun,
  IconUser,
} from "@tabler/icons-react";
import { Link, Outlet } from "@tanstack/react-router";
import { session } from "../api/client";
import { explain } from "../api/messages";
import { useUser } from "../features/auth/session";
import { LiveProvider, useFreshness } from "../live/live";
import { Dock } from "../terminal/dock";
import { Breadcrumb } from "./breadcrumb";
import { Logo } from "./logo";
import { tell } from "./notify";
import classes from "./shell.module.css";

const PLACES = [
  { to: "/devices", label: "Devices", icon: IconServer2 },
  { to: "/software", label: "Software", icon: IconPackage },
] as const;

/** The frame around every page: rail, top bar and, outside the router's reach, the terminals. */
export function Shell() {
  return (
    <LiveProvider>
      <Frame />
    </LiveProvider>
  );
}

function Frame() {
  const [open, drawer] = useDisclosure(false);
  return (
    <div className={classes.shell}>
      <a className="skip-link" href="#main">
        Skip to content
      </a>
      <nav className={classes.rail} aria-label="Main">
        <Link to="/" className={classes.brand}>
          <Logo />
          <span className={classes.label}>Edgetainer</span>
        </Link>
        <Places />
      </nav>
      <Drawer opened={open} onClose={drawer.close} title="Edgetainer" size={280} padding="md">
        <nav className={classes.drawer} aria-label="Main">
          <Places onPick={drawer.close} />
        </nav>
      </Drawer>
      {/* No <header>: Mantine's dialogs have one, and a page has a single banner. */}
      <section className={classes.header} aria-label="Top bar">
        <ActionIcon
          className={classes.burger ?? ""}
          variant="subtle"
          color="gray"
          size={40}
          aria-label="Open navigation"
          aria-expanded={open}
          onClick={drawer.open}
        >
          <IconMenu2 size={22} />
        </ActionIcon>
        <div className={classes.crumbs}>
          <Breadcrumb />
        </div>
        <FreshnessBadge />
        <SchemeMenu />
        <UserMenu />
      </section>
      <main id="main" className={classes.main} tabIndex={-1}>
        <div className={classes.content}>
          <Outlet />
        </div>
      </main>
      <div className={classes.dock}>
        <Dock />
      </div>
    </div>
  );
}

function Places({ onPick }: { onPick?: () => void }) {
  return (
    <>
      {PLACES.map(({ to, label, icon: Icon }) => (
        <Link key={to} to={to} className={classes.link} onClick={() => onPick?.()}>
          <Icon size={20} stroke={1.75} aria-hidden />
          <span className={classes.label}>{label}</span>
        </Link>
      ))}
    </>
  );
}

function FreshnessBadge() {
  const freshness = useFreshness();
  const [word, about] = {
    live: ["Live", "Changes appear here as they happen."],
    connecting: ["Connecting", "Connecting to the server for live changes."],
    stale: ["Stale", "The connection for live changes is down. What you see may be old."],
  }[freshness];
  return (
    <Tooltip label={about}>
      <span className={classes.fresh} data-fresh={freshness} role="status">
        <span className={classes.dot} aria-hidden="true" />
        {word}
      </span>
    </Tooltip>
  );
}

const SCHEMES = [
  { value: "light", label: "Light", icon: IconSun },
  { value: "dark", label: "Dark", icon: IconMoon },
  { value: "auto", label: "As the system", icon: IconDeviceDesktop },
] as const;

function SchemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const Icon = SCHEMES.find((scheme) => scheme.value === colorScheme)?.icon ?? IconDeviceDesktop;
  return (
    <Menu position="bottom-end" width={190}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={36} aria-label="Colour scheme">
          <Icon size={20} stroke={1.75} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Colour scheme</Menu.Label>
        {SCHEMES.map(({ value, label, icon: ItemIcon }) => (
          <Menu.Item
            key={value}
            leftSection={<ItemIcon size={16} />}
            rightSection={
              value === colorScheme && <IconCheck size={16} role="img" aria-label="(chosen)" />
            }
            fw={value === colorScheme ? 600 : undefined}
            onClick={() => setColorScheme(value)}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function UserMenu() {
  const user = useUser();
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <UnstyledButton aria-label={`Account of ${user.username}`} style={{ borderRadius: "50%" }}>
          <Avatar size={34} color="edge">
            <IconUser size={19} stroke={1.75} aria-hidden />
          </Avatar>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <Text size="sm" fw={600} c="var(--e-text)" truncate>
            {user.username}
          </Text>
          <Text size="xs" tt="capitalize">
            {user.role}
          </Text>
        </Menu.Label>
        <Menu.Divider />
        <Menu.Item
          leftSection={<IconLogout size={16} />}
          onClick={() =>
            session
              .signOut()
              .catch((reason) =>
                tell.warning("Signed out here only", `${explain(reason)} Close the browser too.`),
              )
          }
        >
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
