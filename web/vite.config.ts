import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds a running server; its certificate is self-issued. */
const server = process.env.EDGETAINER_URL ?? "https://localhost:8443";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "dist",
    target: "es2023",
    // Hidden, hence not served: only the size check reads it.
    manifest: ".manifest.json",
    // A data: URI would need a wider content security policy than 'self'.
    assetsInlineLimit: 0,
    // scripts/budget.mjs holds the sizes; they are checked after gzip.
    chunkSizeWarningLimit: 1000,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/api": { target: server, secure: false, changeOrigin: false },
      "/ws": { target: server, secure: false, changeOrigin: false, ws: true },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    restoreMocks: true,
    // tokens.test.ts reads a style sheet; left alone, vitest makes them all empty.
    css: true,
  },
});
