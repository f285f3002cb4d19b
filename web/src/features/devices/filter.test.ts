import { expect, it } from "vitest";
import type { Container, Device, DeviceStatus } from "../../api/types";
import { containerName, serviceAddress, serviceName } from "./address";
import { agentCommands } from "./commands";
import { byAttention, countByStatus, matches } from "./filter";
import { hardware } from "./overview";

const device = (name: string, status: DeviceStatus, more: Partial<Device> = {}) =>
  ({ id: name, device_id: name, name, status, ...more }) as Device;

const DEVICES = [
  device("kiosk-10", "online"),
  device("kiosk-2", "online", { fleet_name: "Lobby", ip_address: "10.0.0.7" }),
  device("pump", "error"),
  device("lab", "pending"),
  device("gate", "offline"),
];

it("puts what needs attention first, and numbers in their order", () => {
  expect(DEVICES.toSorted(byAttention).map((each) => each.name)).toEqual([
    "pump",
    "gate",
    "lab",
    "kiosk-2",
    "kiosk-10",
  ]);
});

it("finds devices by every word", () => {
  const found = (query: string) =>
    DEVICES.filter((each) => matches(each, query)).map((each) => each.name);
  expect(found("")).toHaveLength(5);
  expect(found("KIOSK")).toEqual(["kiosk-10", "kiosk-2"]);
  expect(found("lobby kiosk")).toEqual(["kiosk-2"]);
  expect(found("10.0.0")).toEqual(["kiosk-2"]);
  expect(found("offline")).toEqual(["gate"]);
  expect(found("kiosk nowhere")).toEqual([]);
});

it("counts what there is", () => {
  expect(countByStatus(DEVICES)).toEqual([
    ["error", 1],
    ["offline", 1],
    ["pending", 1],
    ["online", 2],
  ]);
});

it("makes one label of service and device", () => {
  expect(serviceAddress("https://kiosk.apps.example.com:8443/", "api")).toBe(
    "https://api--kiosk.apps.example.com:8443/",
  );
  expect(serviceAddress(null, "api")).toBeNull();
  expect(serviceAddress("https://kiosk.apps.example.com/", "")).toBeNull();
});

it("proposes a name that fits an address and is free", () => {
  expect(serviceName("My_App.web", [])).toBe("my-app-web");
  expect(serviceName("web", ["web", "web-2"])).toBe("web-3");
  expect(serviceName("--", [])).toBe("");
});

it("keeps the token out of the command line of the agent", () => {
  const commands = agentCommands("https://console.example:8443", "s3cret").split("\n");
  expect(commands).toContain("server_url: https://console.example:8443");
  expect(commands.at(-1)).not.toContain("s3cret");
});

it("shows what is plain of the hardware", () => {
  expect(
    hardware({ cpu_count: 4, memory_bytes: 8 * 1024 ** 3, model: "Pi", disks: [1], none: null }),
  ).toEqual([
    ["CPU count", "4"],
    ["Memory", "8 GiB"],
    ["Model", "Pi"],
  ]);
});

it("names the stack where two stacks call a service the same", () => {
  const web = { name: "et-1-shop-web-1", stack: "shop", service: "web" } as Container;
  const second = { ...web, name: "et-1-shop-web-2" };
  const other = { ...web, name: "et-1-blog-web-1", stack: "blog" };
  const alone = { ...web, name: "alone", stack: null, service: null };
  expect(containerName(web, [web, second, alone])).toBe("web");
  expect(containerName(web, [web, other])).toBe("shop/web");
  expect(containerName(alone, [web, alone])).toBe("alone");
});
