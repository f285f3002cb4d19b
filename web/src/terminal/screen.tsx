import "@xterm/xterm/css/xterm.css";
import { FitAddon } from "@xterm/addon-fit";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal } from "@xterm/xterm";
import { useEffect, useRef, useState } from "react";
import { client } from "../api/client";
import { terminalTheme } from "./colours";
import { TerminalConnection } from "./connection";
import classes from "./dock.module.css";
import { Ended } from "./ended";
import { countLines, runsLines } from "./paste";
import { PasteDialog } from "./paste-dialog";
import { type Tab, terminals } from "./tabs";

export interface ScreenProps {
  tab: Tab;
  visible: boolean;
  fontSize: number;
  dark: boolean;
  /** Puts the text into the page for screen readers, at the cost of speed. */
  readable: boolean;
  onLeave: () => void;
  onFontSize: (change: -1 | 0 | 1) => void;
}

/** Lines that can be scrolled back to. */
const SCROLLBACK_LINES = 10_000;

/** One terminal: xterm.js joined to its connection. Stays mounted while its tab is hidden. */
export default function Screen(props: ScreenProps) {
  const { tab, visible, fontSize, dark, readable } = props;
  const host = useRef<HTMLDivElement>(null);
  const parts = useRef<{ terminal: Terminal; fit: FitAddon } | null>(null);
  const connection = useRef<TerminalConnection | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [paste, setPaste] = useState<string | null>(null);
  const [round, setRound] = useState(0);

  // The terminal itself lives as long as its tab; its settings follow in effects of their own.
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const first = latest.current;
    const terminal = new Terminal({
      allowProposedApi: false,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: '"JetBrains Mono Variable", "DejaVu Sans Mono", monospace',
      fontSize: first.fontSize,
      lineHeight: 1.15,
      minimumContrastRatio: 4.5,
      scrollback: SCROLLBACK_LINES,
      screenReaderMode: first.readable,
      theme: terminalTheme(first.dark),
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.loadAddon(
      new WebLinksAddon((_event, uri) => void window.open(uri, "_blank", "noopener,noreferrer")),
    );
    terminal.attachCustomKeyEventHandler((event) => handleKey(event, terminal, latest.current));
    terminal.open(element);
    terminal.textarea?.setAttribute("aria-label", `Terminal input: ${titleOf(first.tab)}`);
    terminal.onData((data) => connection.current?.type(data));
    terminal.onBinary((data) => connection.current?.typeBinary(data));
    terminal.onResize(({ cols, rows }) => connection.current?.resize({ columns: cols, rows }));
    const onPaste = (event: ClipboardEvent) => {
      const text = event.clipboardData?.getData("text/plain") ?? "";
      // A program that asked for bracketed paste keeps the lines for itself.
      if (!runsLines(text) || countLines(text) < 2 || terminal.modes.bracketedPasteMode) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      setPaste(text);
    };
    element.addEventListener("paste", onPaste, { capture: true });
    const observer = new ResizeObserver(() => refit(element, fit));
    observer.observe(element);
    refit(element, fit);
    parts.current = { terminal, fit };
    return () => {
      observer.disconnect();
      element.removeEventListener("paste", onPaste, { capture: true });
      parts.current = null;
      terminal.dispose();
    };
  }, []);

  // One connection a round; `Reconnect` begins the next and keeps what is on the screen.
  const { id, deviceId, container } = tab;
  useEffect(() => {
    const terminal = parts.current?.terminal;
    if (!terminal) return;
    if (round > 0) terminal.write("\r\n");
    const line = new TerminalConnection(
      {
        url: `${location.origin.replace(/^http/, "ws")}/ws/term`,
        ticket: async ({ columns, rows }) => {
          const body = { device_id: deviceId, container, columns, rows };
          return (await client.post<{ ticket: string }>("/api/terminals", body)).ticket;
        },
        output: (data, drawn) => terminal.write(data, drawn),
        changed: (state) => terminals.changed(id, state),
      },
      { columns: terminal.cols, rows: terminal.rows },
    );
    connection.current = line;
    terminals.changed(id, line.state);
    return () => {
      connection.current = null;
      line.close();
    };
  }, [id, deviceId, container, round]);

  useEffect(() => {
    const current = parts.current;
    if (!current) return;
    current.terminal.options.fontSize = fontSize;
    current.terminal.options.theme = terminalTheme(dark);
    current.terminal.options.screenReaderMode = readable;
    if (host.current) refit(host.current, current.fit);
  }, [fontSize, dark, readable]);

  // Only the visible terminal holds a WebGL context: browsers give out a handful.
  useEffect(() => {
    const terminal = parts.current?.terminal;
    if (!terminal || !visible) return;
    terminal.focus();
    if (readable || !hasFastWebGl()) return;
    const webgl = new WebglAddon();
    webgl.onContextLoss(() => webgl.dispose());
    terminal.loadAddon(webgl);
    return () => webgl.dispose();
  }, [visible, readable]);

  const over = tab.state.phase === "ended" || tab.state.phase === "lost";
  return (
    <div className={classes.screen} hidden={!visible}>
      {tab.state.phase === "opening" && (
        <div className={classes.opening} role="status">
          Opening a terminal on {titleOf(tab)}…
        </div>
      )}
      <section
        ref={host}
        className={classes.xterm}
        aria-label={`Terminal: ${titleOf(tab)}`}
        data-testid="terminal-screen"
        data-phase={tab.state.phase}
      />
      {over && (
        <Ended
          state={tab.state}
          focused={visible}
          onReconnect={() => setRound(round + 1)}
          onClose={() => terminals.close(id)}
        />
      )}
      <PasteDialog
        text={paste}
        onPaste={(text) => {
          setPaste(null);
          parts.current?.terminal.paste(text);
          parts.current?.terminal.focus();
        }}
        onClose={() => {
          setPaste(null);
          parts.current?.terminal.focus();
        }}
      />
    </div>
  );
}

export function titleOf(tab: Tab): string {
  return tab.container === null ? tab.deviceName : `${tab.container} on ${tab.deviceName}`;
}

function refit(element: HTMLElement, fit: FitAddon): void {
  // A hidden tab has no size; fitting to it would squeeze the shell into one column.
  if (element.clientWidth > 0 && element.clientHeight > 0) fit.fit();
}

const FONT_STEPS: Record<string, -1 | 0 | 1> = {
  Equal: 1,
  NumpadAdd: 1,
  Minus: -1,
  NumpadSubtract: -1,
  Digit0: 0,
};

/** True lets the terminal have the key. */
function handleKey(event: KeyboardEvent, terminal: Terminal, props: ScreenProps): boolean {
  if (event.type !== "keydown" || !event.ctrlKey || event.altKey) return true;
  if (event.shiftKey && event.code === "KeyC") {
    event.preventDefault();
    const text = terminal.getSelection();
    if (text !== "") void navigator.clipboard.writeText(text);
    return false;
  }
  // The browser answers this one with a paste event, which is where pasting is handled.
  if (event.shiftKey && event.code === "KeyV") return false;
  if (event.shiftKey && event.code === "Escape") {
    event.preventDefault();
    props.onLeave();
    return false;
  }
  const step = FONT_STEPS[event.code];
  // Ctrl+Shift+- is Ctrl+_, which undoes in a shell.
  if (step !== undefined && !(event.shiftKey && step < 0)) {
    event.preventDefault();
    props.onFontSize(step);
    return false;
  }
  return event.code !== "Backquote";
}

let fastWebGl: boolean | undefined;

/** Whether WebGL is there and drawn by a GPU; drawn by the CPU it is slower than the page. */
function hasFastWebGl(): boolean {
  fastWebGl ??= probeWebGl();
  return fastWebGl;
}

function probeWebGl(): boolean {
  const gl = document
    .createElement("canvas")
    .getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return false;
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const renderer = names ? String(gl.getParameter(names.UNMASKED_RENDERER_WEBGL)) : "";
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}
