// Signs in, looks at every page and decides a gate in a real browser; writes pictures.
//
//   node look.mjs URL E-MAIL PASSPHRASE OUTPUT-FOLDER
//
// Needs `playwright-core` where NODE_PATH points to, and Chromium (CHROMIUM, or /usr/bin/chromium). The ignored test
// `in_a_real_browser` starts the daemon and runs this.
import { mkdirSync } from "node:fs";

import { launch } from "../../../../tests/browser/chromium.mjs";

const [url, email, passphrase, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await launch();
const problems = [];
const context = await browser.newContext({ viewport: { width: 1100, height: 800 } });
const page = await context.newPage();
page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
const shot = (name) => page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
const must = (truth, what) => { if (!truth) problems.push(what); };

await page.goto(url);
must(page.url().endsWith("/sign-in"), "a stranger is not led to the sign-in");
await shot("sign-in");
await page.getByLabel("E-mail").fill(email);
await page.getByLabel("Passphrase").fill(passphrase);
await page.getByRole("button", { name: "Sign in" }).click();
await page.waitForURL(`${url}/`);
await shot("inbox");
await page.emulateMedia({ colorScheme: "dark" });
await shot("inbox-dark");
await page.emulateMedia({ colorScheme: "light" });

const gates = await page.locator(".gates a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
for (const gate of gates) {
  await page.goto(url + gate);
  await shot(gate.replace("/gates/", "gate-"));
  const form = await page.evaluate(() => ({
    height: document.documentElement.scrollHeight,
    chosen: document.querySelectorAll("input[type=radio]:checked").length,
  }));
  must(form.height <= 1850, `${gate} is ${form.height} px long, and should be about two screens with its form`);
  must(form.chosen === 0, `${gate} has a verdict that nobody chose`);
}
await page.setViewportSize({ width: 390, height: 800 });
await shot("gate-narrow");
const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
must(!wide, "the gate's page scrolls sideways on a telephone");
await page.setViewportSize({ width: 1100, height: 800 });
await page.emulateMedia({ media: "print" });
await shot("gate-print");
await page.emulateMedia({ media: "screen", colorScheme: "dark" });
await shot("gate-dark");
await page.emulateMedia({ colorScheme: "light" });

const portfolio = gates.find((gate) => gate.includes("portfolio"));
await page.goto(url + portfolio);
await page.getByLabel("Approve with conditions").check();
await page.locator("summary", { hasText: "Conditions" }).click();
await page.getByLabel("Conditions", { exact: true }).fill("Only level two");
await page.getByLabel("Passphrase").fill("not the passphrase");
await page.getByRole("button", { name: "Sign and decide" }).click();
must(await page.getByRole("alert").isVisible(), "a wrong passphrase is not said");
await shot("gate-wrong");
await page.getByLabel("Passphrase").fill(passphrase);
await page.getByRole("button", { name: "Sign and decide" }).click();
await page.waitForURL(/\/decided(#|$)/);
await shot("decided");
await page.goto(url + portfolio);
await shot("gate-closed");
await page.goto(`${url}/outcomes/retention`);
await shot("outcome");
await page.emulateMedia({ colorScheme: "dark" });
await shot("outcome-dark");
await page.getByRole("button", { name: "Sign out" }).click();
await page.waitForURL(/sign-in$/);
await browser.close();
// The wrong passphrase was answered with 401, which the console shows.
const real = problems.filter((text) => !text.includes("401"));
if (real.length > 0) {
  console.error(real.join("\n"));
  process.exit(1);
}
