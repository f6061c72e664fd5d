// A headless Chromium that talks to nobody by itself. Needs `playwright-core` where NODE_PATH points to, and Chromium
// (CHROMIUM, or /usr/bin/chromium).
import { createRequire } from "node:module";

const { chromium } = createRequire(import.meta.url)("playwright-core");

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
