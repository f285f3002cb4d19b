import { describe, expect, it } from "vitest";
import { ago, bytes, duration, percent, plural, share, shortImage } from "./format";

const NOW = Date.parse("2026-05-04T12:00:00Z");
const earlier = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

describe("ago", () => {
  it.each([
    [0, "just now"],
    [9, "just now"],
    [10, "10 s ago"],
    [59, "59 s ago"],
    [60, "1 min ago"],
    [3599, "59 min ago"],
    [3600, "1 h ago"],
    [86_399, "23 h ago"],
    [86_400, "yesterday"],
    [3 * 86_400, "3 days ago"],
  ])("says %i seconds as %s", (seconds, words) => {
    expect(ago(earlier(seconds), NOW)).toBe(words);
  });

  it("calls a device's clock that runs ahead just now", () => {
    expect(ago(earlier(-120), NOW)).toBe("just now");
  });

  it("says never and unknown", () => {
    expect(ago(null, NOW)).toBe("never");
    expect(ago("soon", NOW)).toBe("unknown");
  });
});

describe("numbers", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [1024 * 1024 - 1, "1 MiB"],
    [8 * 1024 ** 3, "8 GiB"],
    [123.4 * 1024 ** 2, "123 MiB"],
  ])("writes %d bytes as %s", (value, words) => {
    expect(bytes(value)).toBe(words);
  });

  it.each([
    [0, "0 s"],
    [59, "59 s"],
    [60, "1 min"],
    [3600, "1 h"],
    [3660, "1 h 1 min"],
    [90_000, "1 d 1 h"],
  ])("writes %i seconds as %s", (value, words) => {
    expect(duration(value)).toBe(words);
  });

  it("writes per cent with a digit only where it matters", () => {
    expect([0, 0.25, 7.25, 9.96, 42.4, 100].map(percent)).toEqual([
      "0 %",
      "0.3 %",
      "7.3 %",
      "10 %",
      "42 %",
      "100 %",
    ]);
  });

  it("shows a dash for what is not known", () => {
    expect([bytes(null), duration(undefined), percent(Number.NaN)]).toEqual(["–", "–", "–"]);
    expect(share(5, 0)).toBeNull();
    expect(share(null, 10)).toBeNull();
    expect(share(5, 10)).toBe(50);
  });

  it("counts in words", () => {
    expect(plural(1, "device")).toBe("1 device");
    expect(plural(1204, "device")).toBe("1,204 devices");
  });
});

describe("shortImage", () => {
  it.each([
    ["nginx", "nginx"],
    ["registry.example.com:5000/team/web:1.2", "web:1.2"],
    [`registry.example.com/web@sha256:${"ab".repeat(32)}`, "web@abababababab"],
    ["0123456789ab".padEnd(64, "c"), "0123456789ab"],
  ])("shortens %s", (image, short) => {
    expect(shortImage(image)).toBe(short);
  });
});
