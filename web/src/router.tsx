import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { Guard } from "./features/auth/guard";
import { SignIn } from "./features/auth/sign-in";
import { DevicesPage } from "./features/devices/list";
import { Visit } from "./features/visit/visit";
import { Crashed, NotFound } from "./ui/problems";
import { Shell } from "./ui/shell";

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search): { to?: string | undefined } => ({ to: text(search.to) }),
  component: SignIn,
});

const visit = createRoute({
  getParentRoute: () => root,
  path: "/visit",
  validateSearch: (search): { to?: string | undefined } => ({ to: text(search.to) }),
  component: () => (
    <Guard>
      <Visit />
    </Guard>
  ),
});

const console = createRoute({
  getParentRoute: () => root,
  id: "console",
  component: () => (
    <Guard>
      <Shell />
    </Guard>
  ),
});

const home = createRoute({
  getParentRoute: () => console,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/devices", replace: true });
  },
});

const devices = createRoute({
  getParentRoute: () => console,
  path: "/devices",
  validateSearch: (search): { q?: string | undefined; status?: string | undefined } => ({
    q: text(search.q),
    status: text(search.status),
  }),
  component: DevicesPage,
});

const device = createRoute({
  getParentRoute: () => console,
  path: "/devices/$deviceId",
  component: lazyRouteComponent(() => import("./features/devices/device"), "DevicePage"),
});

const overview = createRoute({
  getParentRoute: () => device,
  path: "/",
  component: lazyRouteComponent(() => import("./features/devices/overview"), "Overview"),
});

const containers = createRoute({
  getParentRoute: () => device,
  path: "/containers",
  component: lazyRouteComponent(() => import("./features/devices/containers"), "Containers"),
});

const terminal = createRoute({
  getParentRoute: () => device,
  path: "/terminal",
  component: lazyRouteComponent(() => import("./features/devices/terminal"), "TerminalTab"),
});

const software = createRoute({
  getParentRoute: () => device,
  path: "/software",
  component: lazyRouteComponent(() => import("./features/software/deployments"), "Deployments"),
});

const allSoftware = createRoute({
  getParentRoute: () => console,
  path: "/software",
  component: lazyRouteComponent(() => import("./features/software/software"), "SoftwarePage"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    login,
    visit,
    console.addChildren([
      home,
      devices,
      allSoftware,
      device.addChildren([overview, containers, terminal, software]),
    ]),
  ]),
  defaultPreload: "intent",
  scrollRestoration: true,
  defaultErrorComponent: Crashed,
  defaultNotFoundComponent: NotFound,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
