import { describe, expect, it } from "vitest";
import { terminalTheme } from "../terminal/colours";
import css from "./tokens.css?raw";

function tokens(scheme: "light" | "dark"): Map<string, string> {
  const block = css.split(`[data-mantine-color-scheme="${scheme}"] {`)[1]?.split("}")[0] ?? "";
  return new Map(
    [...block.matchAll(/--e-([\w-]+):\s*(#[0-9a-f]{6});/g)].map((m) => [m[1] ?? "", m[2] ?? ""]),
  );
}

/** Relative luminance as WCAG 2.2 defines it. */
function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

it("measures contrast as WCAG does", () => {
  expect(contrast("#000000", "#ffffff")).toBeCloseTo(21, 5);
  expect(contrast("#767676", "#ffffff")).toBeCloseTo(4.54, 2);
});

const GROUNDS = ["page", "surface", "sunken", "hover"];
/** Text on ground, as the console pairs them; AA asks for 4.5 to 1. */
const TEXT: [string, string][] = [
  ...["text", "dim", "accent", "error"].flatMap((text) =>
    GROUNDS.map((ground): [string, string] => [text, ground]),
  ),
  ["accent", "accent-soft"],
  ["on-accent", "accent-fill"],
  ["on-accent", "accent-fill-hover"],
  ["text", "online-soft"],
  ["dim", "accent-soft"],
  ...["online", "offline", "updating", "error", "pending"].map((tone): [string, string] => [
    tone,
    `${tone}-soft`,
  ]),
];
/** Edges of inputs, focus rings and marks that carry meaning; AA asks for 3 to 1. */
const MARKS: [string, string][] = [
  ["control", "surface"],
  ["control", "page"],
  ["accent", "surface"],
  ["accent", "page"],
  ...["online", "offline", "error", "pending"].map((tone): [string, string] => [tone, "surface"]),
];

describe.each(["light", "dark"] as const)("%s", (scheme) => {
  const colours = tokens(scheme);
  const ratio = (one: string, other: string) => {
    const [a, b] = [colours.get(one), colours.get(other)];
    if (!a || !b) throw new Error(`tokens.css lacks --e-${a ? other : one} for ${scheme}`);
    return contrast(a, b);
  };

  it.each(TEXT)("%s is readable on %s", (text, ground) => {
    expect(ratio(text, ground)).toBeGreaterThanOrEqual(4.5);
  });

  it.each(MARKS)("%s can be told from %s", (mark, ground) => {
    expect(ratio(mark, ground)).toBeGreaterThanOrEqual(3);
  });

  it("keeps the terminal's own colours readable", () => {
    const {
      background = "",
      black,
      selectionBackground,
      cursorAccent,
      ...rest
    } = terminalTheme(scheme === "dark") as Record<string, string>;
    expect([black, selectionBackground, cursorAccent]).not.toContain(undefined);
    for (const [name, colour] of Object.entries(rest)) {
      expect(contrast(colour, background), name).toBeGreaterThanOrEqual(4.5);
    }
  });
});

it("defines the same colours for both schemes", () => {
  expect([...tokens("dark").keys()]).toEqual([...tokens("light").keys()]);
});
