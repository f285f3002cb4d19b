import { describe, expect, it, vi } from "vitest";
import { countLines, runsLines } from "./paste";
import { clampFont, clampHeight, readSettings, writeSettings } from "./settings";
import { MOST_TABS, Terminals } from "./tabs";

const target = (container: string | null) => ({ deviceId: "d", deviceName: "kiosk", container });

describe("tabs", () => {
  it("open in front, and the neighbour follows one that closes", () => {
    const terminals = new Terminals();
    for (const name of ["a", "b", "c"]) terminals.open(target(name));
    const [a, b, c] = terminals.get().tabs.map((tab) => tab.id);
    expect(terminals.get().active).toBe(c);
    terminals.show(b ?? 0);
    terminals.close(b ?? 0);
    expect(terminals.get().active).toBe(c);
    terminals.close(c ?? 0);
    expect(terminals.get().active).toBe(a);
    terminals.close(a ?? 0);
    expect(terminals.get()).toMatchObject({ tabs: [], active: null });
  });

  it("closing one in the back leaves the front alone", () => {
    const terminals = new Terminals();
    terminals.open(target("a"));
    terminals.open(target("b"));
    const front = terminals.get().active;
    terminals.close(terminals.get().tabs[0]?.id ?? 0);
    expect(terminals.get().active).toBe(front);
  });

  it("are bounded", () => {
    const terminals = new Terminals();
    const opened = Array.from({ length: MOST_TABS + 1 }, () => terminals.open(target(null)));
    expect(opened.filter(Boolean)).toHaveLength(MOST_TABS);
    expect(terminals.get().tabs).toHaveLength(MOST_TABS);
  });

  it("tell whoever watches", () => {
    const terminals = new Terminals();
    const watcher = vi.fn();
    const stop = terminals.watch(watcher);
    terminals.open(target(null));
    const id = terminals.get().tabs[0]?.id ?? 0;
    terminals.changed(id, { phase: "open" });
    expect(terminals.get().tabs[0]?.state).toEqual({ phase: "open" });
    expect(watcher).toHaveBeenCalledTimes(2);
    stop();
    terminals.expand(false);
    expect(watcher).toHaveBeenCalledTimes(2);
  });
});

describe("settings", () => {
  it("survive a reload and whatever else is stored", () => {
    localStorage.clear();
    expect(readSettings()).toEqual({ fontSize: 14, readable: false, height: 320 });
    writeSettings({ fontSize: 18, readable: true, height: 400 });
    expect(readSettings()).toEqual({ fontSize: 18, readable: true, height: 400 });
    localStorage.setItem("edgetainer.terminal", '{"fontSize":"big","height":-4}');
    expect(readSettings()).toEqual({ fontSize: 14, readable: false, height: 320 });
    localStorage.setItem("edgetainer.terminal", "{");
    expect(readSettings().fontSize).toBe(14);
  });

  it("stay within what can be used", () => {
    expect([clampFont(2), clampFont(99), clampFont(15)]).toEqual([9, 28, 15]);
    expect(clampHeight(9999, 800)).toBe(660);
    expect(clampHeight(10, 800)).toBe(160);
    expect(clampHeight(500, 200)).toBe(160);
  });
});

describe("pasting", () => {
  it("asks for what a shell would run", () => {
    expect(runsLines("ls -l")).toBe(false);
    expect(runsLines("ls\n")).toBe(true);
    expect(runsLines("a\rb")).toBe(true);
  });

  it.each([
    ["a", 1],
    ["a\n", 1],
    ["a\nb", 2],
    ["a\r\nb\r\n", 2],
    ["a\n\nb", 3],
  ])("counts the lines of %j", (text, lines) => {
    expect(countLines(text)).toBe(lines);
  });
});
