import { ActionIcon, CloseButton, Menu, Tooltip, useComputedColorScheme } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import {
  IconAccessible,
  IconArrowsMaximize,
  IconArrowsMinimize,
  IconChevronDown,
  IconChevronUp,
  IconLetterCase,
  IconPlus,
} from "@tabler/icons-react";
import {
  type KeyboardEvent,
  lazy,
  type PointerEvent,
  Suspense,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import classes from "./dock.module.css";
import {
  clampFont,
  clampHeight,
  FONT_SIZES,
  HEIGHTS,
  readSettings,
  type TerminalSettings,
  writeSettings,
} from "./settings";
import { type Tab, terminals } from "./tabs";

const Screen = lazy(() => import("./screen"));

/** The terminals at the bottom of the window, whatever page is above them. */
export function Dock() {
  const dock = useSyncExternalStore(terminals.watch, terminals.get);
  const [settings, setSettings] = useState(readSettings);
  const [full, setFull] = useState(false);
  const dark = useComputedColorScheme("light", { getInitialValueInEffect: false }) === "dark";
  const bar = useRef<HTMLDivElement>(null);
  useHotkeys([["ctrl+`", () => terminals.expand(!terminals.get().expanded)]], []);
  useEffect(() => () => terminals.closeAll(), []);
  const empty = dock.tabs.length === 0;
  useEffect(() => {
    if (empty) setFull(false);
  }, [empty]);
  if (empty) return null;

  const change = (update: Partial<TerminalSettings>) => {
    const next = { ...settings, ...update };
    setSettings(next);
    writeSettings(next);
  };
  const setFont = (step: -1 | 0 | 1) =>
    change({ fontSize: step === 0 ? FONT_SIZES.usual : clampFont(settings.fontSize + step) });
  const shown = dock.expanded || full;
  const active = dock.tabs.find((tab) => tab.id === dock.active);
  return (
    <section
      className={classes.dock}
      aria-label="Terminals"
      data-full={full || undefined}
      style={full || !shown ? undefined : { height: clampHeight(settings.height, innerHeight) }}
    >
      {shown && !full && (
        <Handle height={settings.height} onChange={(height) => change({ height })} />
      )}
      <div className={classes.bar} ref={bar}>
        <Tabs tabs={dock.tabs} active={dock.active} />
        {active && (
          <Tooltip label="Another terminal here">
            <ActionIcon
              variant="subtle"
              color="gray"
              size={32}
              aria-label="Another terminal here"
              onClick={() => terminals.open(active)}
            >
              <IconPlus size={17} />
            </ActionIcon>
          </Tooltip>
        )}
        <FontMenu settings={settings} onStep={setFont} />
        <Tooltip label="Text for screen readers">
          <ActionIcon
            className={classes.wide ?? ""}
            variant={settings.readable ? "light" : "subtle"}
            color={settings.readable ? "edge" : "gray"}
            size={32}
            aria-label="Text for screen readers"
            aria-pressed={settings.readable}
            onClick={() => change({ readable: !settings.readable })}
          >
            <IconAccessible size={18} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label={full ? "Leave full screen" : "Full screen"}>
          <ActionIcon
            variant="subtle"
            color="gray"
            size={32}
            aria-label={full ? "Leave full screen" : "Full screen"}
            onClick={() => setFull(!full)}
          >
            {full ? <IconArrowsMinimize size={17} /> : <IconArrowsMaximize size={17} />}
          </ActionIcon>
        </Tooltip>
        {!full && (
          <Tooltip label={shown ? "Hide terminals (Ctrl+`)" : "Show terminals (Ctrl+`)"}>
            <ActionIcon
              variant="subtle"
              color="gray"
              size={32}
              aria-label={shown ? "Hide terminals" : "Show terminals"}
              aria-expanded={shown}
              onClick={() => terminals.expand(!shown)}
            >
              {shown ? <IconChevronDown size={18} /> : <IconChevronUp size={18} />}
            </ActionIcon>
          </Tooltip>
        )}
      </div>
      <div className={classes.body} hidden={!shown}>
        <Suspense fallback={<div className={classes.loading}>Loading the terminal…</div>}>
          {dock.tabs.map((tab) => (
            <Screen
              key={tab.id}
              tab={tab}
              visible={shown && tab.id === dock.active}
              fontSize={settings.fontSize}
              dark={dark}
              readable={settings.readable}
              onLeave={() => bar.current?.querySelector("button")?.focus()}
              onFontSize={setFont}
            />
          ))}
        </Suspense>
      </div>
    </section>
  );
}

function Tabs({ tabs, active }: { tabs: Tab[]; active: number | null }) {
  return (
    <ul className={classes.tabs} aria-label="Open terminals" style={{ margin: 0, padding: 0 }}>
      {tabs.map((tab) => {
        const name = tab.container ?? tab.deviceName;
        const where = tab.container === null ? "" : ` on ${tab.deviceName}`;
        const words = { opening: "opening", open: "open", ended: "ended", lost: "lost" };
        return (
          <li key={tab.id} className={classes.tab} data-active={tab.id === active || undefined}>
            <button
              type="button"
              className={classes.pick}
              aria-current={tab.id === active || undefined}
              title={`${name}${where}`}
              onClick={() => terminals.show(tab.id)}
            >
              <i className={classes.light} data-phase={tab.state.phase} aria-hidden="true" />
              <span>{name}</span>
              <span className="visually-hidden">
                {where}, {words[tab.state.phase]}
              </span>
            </button>
            <CloseButton
              size="sm"
              mx={4}
              aria-label={`Close terminal ${name}${where}`}
              onClick={() => terminals.close(tab.id)}
            />
          </li>
        );
      })}
    </ul>
  );
}

function FontMenu(props: { settings: TerminalSettings; onStep: (step: -1 | 0 | 1) => void }) {
  return (
    <Menu position="top-end" closeOnItemClick={false} zIndex={350}>
      <Menu.Target>
        <ActionIcon
          className={classes.wide ?? ""}
          variant="subtle"
          color="gray"
          size={32}
          aria-label="Text size"
        >
          <IconLetterCase size={19} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Text size: {props.settings.fontSize}</Menu.Label>
        <Menu.Item onClick={() => props.onStep(1)}>Larger (Ctrl +)</Menu.Item>
        <Menu.Item onClick={() => props.onStep(-1)}>Smaller (Ctrl −)</Menu.Item>
        <Menu.Item onClick={() => props.onStep(0)}>Reset (Ctrl 0)</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

/** Pixels that an arrow key moves the dock's edge. */
const KEY_STEP = 24;

function Handle({ height, onChange }: { height: number; onChange: (height: number) => void }) {
  const grip = useRef<{ y: number; height: number } | null>(null);
  const set = (wanted: number) => onChange(clampHeight(wanted, innerHeight));
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    set(height + (event.key === "ArrowUp" ? KEY_STEP : -KEY_STEP));
  };
  const onPointerDown = (event: PointerEvent<HTMLHRElement>) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    grip.current = { y: event.clientY, height };
  };
  return (
    <hr
      className={classes.handle}
      aria-label="Height of the terminals"
      aria-orientation="horizontal"
      aria-valuemin={HEIGHTS.least}
      aria-valuemax={Math.max(HEIGHTS.least, innerHeight - HEIGHTS.pageLeft)}
      aria-valuenow={height}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onPointerDown={onPointerDown}
      onPointerMove={(event) => {
        if (grip.current) set(grip.current.height + grip.current.y - event.clientY);
      }}
      onPointerUp={() => {
        grip.current = null;
      }}
    />
  );
}
