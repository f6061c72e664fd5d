// Signs in and looks at the first page and the outcome's page, on a desk and on a telephone, light and dark; writes pictures.
//
//   node glance.mjs URL E-MAIL PASSPHRASE OUTPUT-FOLDER NAME
import { mkdirSync } from "node:fs";

import { launch } from "../../../../tests/browser/chromium.mjs";

const [url, email, passphrase, folder, name] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1100, height: 800 } });
const page = await context.newPage();
const problems = [];
await page.goto(url);
await page.getByLabel("E-mail").fill(email);
await page.getByLabel("Passphrase").fill(passphrase);
await page.getByRole("button", { name: "Sign in" }).click();
await page.waitForURL(`${url}/`);
const outcome = await page.locator("article h3 a").first().getAttribute("href");
for (const [path, what] of [["/", "inbox"], [outcome, "outcome"]]) {
  await page.goto(url + path);
  for (const [width, place] of [[1100, "desk"], [390, "phone"]]) {
    await page.setViewportSize({ width, height: 800 });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${folder}/${name}-${what}-${place}-${colorScheme}.png`, fullPage: true });
    }
    const isWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (isWide) problems.push(`${what} of ${name} scrolls sideways at ${width} px`);
  }
}
await browser.close();
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
