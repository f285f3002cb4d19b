import "@fontsource-variable/inter/index.css";
import "@fontsource-variable/jetbrains-mono/index.css";
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./ui/tokens.css";
import "./ui/base.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { session } from "./api/client";
import { App } from "./app";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no root");
void session.restore();
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
