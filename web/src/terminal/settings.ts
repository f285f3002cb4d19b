/** What a person chose for all terminals; kept in this browser. */
export interface TerminalSettings {
  fontSize: number;
  readable: boolean;
  /** Pixels. */
  height: number;
}

const KEY = "edgetainer.terminal";
const DEFAULTS: TerminalSettings = { fontSize: 14, readable: false, height: 320 };

export const FONT_SIZES = { smallest: 9, largest: 28, usual: DEFAULTS.fontSize };
/** Pixels: lower shows nothing useful, and some of the page must stay in view. */
export const HEIGHTS = { least: 160, pageLeft: 140 };

export function readSettings(): TerminalSettings {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const { fontSize, readable, height } = stored as Partial<TerminalSettings>;
    return {
      fontSize: typeof fontSize === "number" ? clampFont(fontSize) : DEFAULTS.fontSize,
      readable: readable === true,
      height: typeof height === "number" && height >= HEIGHTS.least ? height : DEFAULTS.height,
    };
  } catch {
    return DEFAULTS;
  }
}

export function writeSettings(settings: TerminalSettings): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}

export function clampFont(size: number): number {
  return Math.min(FONT_SIZES.largest, Math.max(FONT_SIZES.smallest, Math.round(size)));
}

export function clampHeight(height: number, windowHeight: number): number {
  const most = Math.max(HEIGHTS.least, windowHeight - HEIGHTS.pageLeft);
  return Math.min(most, Math.max(HEIGHTS.least, Math.round(height)));
}
