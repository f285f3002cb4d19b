// Sets the colour scheme before the first paint. Kept apart from the bundle: it must run first,
// and the content security policy allows scripts from files only.
(() => {
  let wanted = "auto";
  try {
    wanted = localStorage.getItem("edgetainer.scheme") || "auto";
  } catch {
    // Storage may be forbidden; the system's choice will do.
  }
  const dark =
    wanted === "dark" || (wanted !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
