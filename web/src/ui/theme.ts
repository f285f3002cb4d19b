import {
  Button,
  createTheme,
  Drawer,
  type MantineColorSchemeManager,
  type MantineColorsTuple,
  Menu,
  Modal,
  PasswordInput,
  SegmentedControl,
  TextInput,
  Tooltip,
} from "@mantine/core";

/** The accent's shades; tokens.css overrides those that carry text. */
const edge: MantineColorsTuple = [
  "#eef0fd",
  "#e6e9fb",
  "#c5ccf5",
  "#a5b4fc",
  "#8192ee",
  "#6578e3",
  "#4a5fd9",
  "#3a4fc4",
  "#3546b8",
  "#2f41a8",
];

/** Mantine's greys for the dark scheme, in the hue of tokens.css. */
const dark: MantineColorsTuple = [
  "#e7eaf2",
  "#c6ccda",
  "#a2abbf",
  "#717b92",
  "#2b3241",
  "#232a37",
  "#1b202b",
  "#171b24",
  "#0f1218",
  "#0b0e13",
];

export const theme = createTheme({
  primaryColor: "edge",
  primaryShade: { light: 7, dark: 6 },
  colors: { edge, dark },
  fontFamily: '"Inter Variable", system-ui, "DejaVu Sans", sans-serif',
  fontFamilyMonospace: "var(--e-font-mono)",
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  headings: { fontWeight: "650" },
  components: {
    Button: Button.extend({ defaultProps: { fw: 550 } }),
    Menu: Menu.extend({
      // In its place in the page, a menu belongs to the landmark that it was opened from.
      defaultProps: { withinPortal: false, withInitialFocusPlaceholder: false },
    }),
    Modal: Modal.extend({
      defaultProps: {
        centered: true,
        radius: "lg",
        styles: { title: { fontWeight: 650, fontSize: "1.125rem" } },
        padding: "lg",
        overlayProps: { backgroundOpacity: 0.5, blur: 2 },
        closeButtonProps: { "aria-label": "Close" },
      },
    }),
    Drawer: Drawer.extend({ defaultProps: { closeButtonProps: { "aria-label": "Close" } } }),
    TextInput: TextInput.extend({ defaultProps: { size: "sm" } }),
    PasswordInput: PasswordInput.extend({ defaultProps: { size: "sm" } }),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 300, withArrow: true } }),
    SegmentedControl: SegmentedControl.extend({ defaultProps: { radius: "md" } }),
  },
});

const KEY = "edgetainer.scheme";

/** Remembers the colour scheme under the key that theme.js reads before the first paint. */
export const schemeManager: MantineColorSchemeManager = {
  get: (fallback) => {
    const value = read();
    return value === "light" || value === "dark" || value === "auto" ? value : fallback;
  },
  set: (value) => {
    try {
      localStorage.setItem(KEY, value);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
  },
  subscribe: () => {},
  unsubscribe: () => {},
  clear: () => {
    try {
      localStorage.removeItem(KEY);
    } catch {
      // Nothing was stored.
    }
  },
};

function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
