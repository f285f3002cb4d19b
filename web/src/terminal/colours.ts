import type { ITheme } from "@xterm/xterm";

const DARK: ITheme = {
  background: "#0b0e13",
  foreground: "#dfe4ee",
  cursor: "#a5b4fc",
  cursorAccent: "#0b0e13",
  selectionBackground: "#3a4778",
  black: "#2b3241",
  red: "#ff8b82",
  green: "#5fdba6",
  yellow: "#f2c265",
  blue: "#85bdf8",
  magenta: "#d6a5f7",
  cyan: "#6fd6dd",
  white: "#dfe4ee",
  brightBlack: "#8b95aa",
  brightRed: "#ffaaa3",
  brightGreen: "#8ff0c8",
  brightYellow: "#ffd88a",
  brightBlue: "#abd3ff",
  brightMagenta: "#e6c4ff",
  brightCyan: "#98eef3",
  brightWhite: "#ffffff",
};

const LIGHT: ITheme = {
  background: "#fbfbfe",
  foreground: "#1d2230",
  cursor: "#3546b8",
  cursorAccent: "#fbfbfe",
  selectionBackground: "#c5ccf5",
  black: "#1d2230",
  red: "#b3261e",
  green: "#0b6b45",
  yellow: "#7a4d00",
  blue: "#1d5ba8",
  magenta: "#8430a8",
  cyan: "#0c6670",
  white: "#545c70",
  brightBlack: "#545c70",
  brightRed: "#c2362d",
  brightGreen: "#117a51",
  brightYellow: "#8a5a05",
  brightBlue: "#2767b8",
  brightMagenta: "#9440b8",
  brightCyan: "#14737d",
  brightWhite: "#1d2230",
};

export function terminalTheme(dark: boolean): ITheme {
  return dark ? DARK : LIGHT;
}
