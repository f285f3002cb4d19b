import { expect, it } from "vitest";
import { returnPath } from "./return-path";

const ORIGIN = "https://console.example:8443";

it.each([
  ["/devices/1?tab=a#b", "/devices/1?tab=a#b"],
  ["/visit?to=https%3A%2F%2Fx.apps.example%2F", "/visit?to=https%3A%2F%2Fx.apps.example%2F"],
  [undefined, "/"],
  ["", "/"],
  ["https://evil.example/", "/"],
  ["//evil.example/", "/"],
  ["/\\evil.example/", "/"],
  ["/\t/evil.example/", "/"],
  ["javascript:alert(1)", "/"],
])("sends %j back to %s", (to, path) => {
  expect(returnPath(to, ORIGIN)).toBe(path);
});
