import { expect, it } from "vitest";
import { nameFromFile } from "./compose-file";

it.each([
  ["docker-compose.yml", ""],
  ["compose.yaml", ""],
  ["compose.kiosk.yaml", "kiosk"],
  ["Web Kiosk.yml", "web-kiosk"],
  ["telemetry.json", "telemetry"],
])("makes of %s the name %j", (file, name) => {
  expect(nameFromFile(file)).toBe(name);
});
