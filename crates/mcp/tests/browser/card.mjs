// Shows the gate card in a real browser, inside a small host that speaks the protocol of MCP Apps; writes pictures.
//
//   node card.mjs CASES.json OUTPUT-FOLDER
//
// Needs `playwright-core` where NODE_PATH points to, and Chromium (CHROMIUM, or /usr/bin/chromium). The ignored test
// `the_card_in_a_real_browser` starts the server and runs this.
import { mkdirSync, readFileSync } from "node:fs";

import { launch } from "../../../../tests/browser/chromium.mjs";

const [input, folder] = process.argv.slice(2);
const { html, chart, short, full, hostile, decided, failed } = JSON.parse(readFileSync(input, "utf8"));
mkdirSync(folder, { recursive: true });
const browser = await launch();
const problems = [];
const must = (truth, what) => { if (!truth) problems.push(what); };

// The host: answers the handshake, then gives the result of the call. It keeps what it was asked.
const host = ({ html, result, full, theme, opens }) => {
  window.heard = [];
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.style.cssText = "width: 100%; height: 300px; border: 0";
  const send = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
  window.send = send;
  window.addEventListener("message", ({ source, data }) => {
    if (source !== frame.contentWindow) return;
    window.heard.push(data);
    if (data.method === "ui/initialize") {
      const hostCapabilities = { openLinks: {}, ...(full ? { serverTools: {} } : {}) };
      const hostInfo = { name: "small-host", version: "1" };
      send({ id: data.id, result: { protocolVersion: "2026-01-26", hostCapabilities, hostInfo, hostContext: { theme } } });
    } else if (data.method === "ui/notifications/initialized") {
      send({ method: "ui/notifications/tool-input", params: { arguments: {} } });
      send({ method: "ui/notifications/tool-result", params: result });
    } else if (data.method === "tools/call") {
      send({ id: data.id, result: full });
    } else if (data.method === "ui/open-link") {
      send(opens ? { id: data.id, result: {} } : { id: data.id, error: { code: -32000, message: "denied" } });
    } else if (data.method === "ui/notifications/size-changed") {
      frame.style.height = `${data.params.height}px`;
    }
  });
  frame.srcdoc = html;
  document.body.append(frame);
};

const open = async (name, given) => {
  const context = await browser.newContext({ viewport: { width: given.width ?? 720, height: 1000 }, colorScheme: given.theme });
  const page = await context.newPage();
  page.on("console", (message) => { if (message.type() === "error") problems.push(`${name}: ${message.text()}`); });
  page.on("request", (request) => { if (/^https?:/.test(request.url())) problems.push(`${name}: asks for ${request.url()}`); });
  page.on("dialog", (dialog) => { problems.push(`${name}: a dialog`); dialog.dismiss(); });
  await page.setContent(`<!doctype html><title>Host</title><body style="margin:0">`);
  await page.evaluate(host, { html, ...given });
  const card = page.frameLocator("iframe");
  await card.locator("#state").waitFor({ state: "attached" });
  await page.waitForFunction(() => window.heard.some((message) => message.method === "ui/notifications/size-changed"));
  await page.waitForTimeout(300);
  await page.screenshot({ path: `${folder}/${name}.png` });
  return { page, card, heard: () => page.evaluate(() => window.heard) };
};
const asked = (heard, method) => heard.filter((message) => message.method === method);

// The short answer: the facts are asked for, once, and the link goes to the page of the gate.
for (const theme of ["light", "dark"]) {
  const { card, heard, page } = await open(`facts-${theme}`, { result: short, full, theme, opens: true });
  const said = await card.locator("main").innerText();
  const gate = full.structuredContent;
  for (const word of [gate.human_sees.question, gate.holder, gate.experiment, "Decision interval", "9,000 control"]) {
    must(said.includes(word), `facts: the card does not say ${word}`);
  }
  must(said.includes("This card is read-only"), "facts: the card does not say that it cannot decide");
  const calls = asked(await heard(), "tools/call");
  must(calls.length === 1 && calls[0].params.name === "get_gate", "facts: asks for something else than the gate");
  must((await card.locator("input, form, textarea, select, a").count()) === 0, "facts: there is something to fill in");
  must((await card.locator("button:visible").count()) === 1, "facts: there is more than one button");
  await card.getByRole("button").click();
  await page.waitForFunction(() => window.heard.some((message) => message.method === "ui/open-link"));
  const links = asked(await heard(), "ui/open-link").map((message) => message.params.url);
  must(links.length === 1 && links[0] === gate.review_url, `facts: opens ${links}`);
  const known = ["ui/initialize", "ui/notifications/initialized", "ui/notifications/size-changed", "tools/call", "ui/open-link"];
  must((await heard()).every((message) => known.includes(message.method)), "facts: says something else to the host");
  const back = await page.evaluate(() => getComputedStyle(document.querySelector("iframe")).height);
  must(parseInt(back, 10) > 300, "facts: the card does not say how high it is");
  await page.evaluate(() => window.send({ id: 77, method: "ui/resource-teardown", params: { reason: "x" } }));
  await page.waitForFunction(() => window.heard.some((message) => message.id === 77 && message.result));
}

// Hostile texts stay texts, also on a telephone; a host that opens nothing shows the address.
{
  const { card, heard, page } = await open("hostile", { result: hostile, theme: "light", opens: false, width: 360 });
  const said = await card.locator("main").innerText();
  must(said.includes("<img src=x onerror="), "hostile: the markup is not shown as text");
  must(!/[\u202e\u200b]/.test(said), "hostile: invisible characters are shown");
  must(said.includes("look like instructions to a model"), "hostile: the mark is not shown");
  must((await card.locator("img, script:not(:last-of-type), iframe, a").count()) === 0, "hostile: markup came in");
  const wide = await card.locator("html").evaluate((root) => root.scrollWidth > root.clientWidth);
  must(!wide, "hostile: the card scrolls sideways");
  must(asked(await heard(), "tools/call").length === 0, "hostile: asks a host that does not offer it");
  await card.getByRole("button").click();
  await card.getByText("could not open the page").waitFor();
  await page.screenshot({ path: `${folder}/hostile-closed.png` });
}

// What no web page is gets no button.
for (const review_url of ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", { a: 1 }, null]) {
  const result = { structuredContent: { ...hostile.structuredContent, review_url } };
  const { card, page } = await open("no-link", { result, theme: "light", opens: true });
  must(!(await card.locator("#open").isVisible()), `no-link: a button for ${JSON.stringify(review_url)}`);
  await page.close();
}

{
  const { card } = await open("decided", { result: decided, theme: "dark", opens: true });
  must((await card.locator("main").innerText()).includes("approve with conditions"), "decided: the verdict is missing");
}
// A host that passes the text on only, and answers of other shapes.
for (const result of [failed, { content: [{ type: "text", text: "{" }] }, {}, { structuredContent: [1] }, null]) {
  const { card } = await open("failed", { result, theme: "light", opens: true });
  must((await card.locator("#question").innerText()).includes("no gate"), "failed: it is not said");
}
{
  const { structuredContent, ...text } = short;
  const { card } = await open("text-only", { result: text, theme: "light", opens: true });
  must(await card.getByRole("button").isVisible(), "text-only: the text is not read");
}
// The chart is a picture by itself, in both colour schemes.
for (const colorScheme of ["light", "dark"]) {
  const page = await browser.newPage({ viewport: { width: 740, height: 280 }, colorScheme });
  const src = `data:image/svg+xml;base64,${Buffer.from(chart).toString("base64")}`;
  await page.setContent(`<!doctype html><body style="margin:10px"><img alt="" src="${src}">`);
  const size = await page.locator("img").evaluate(async (img) => { await img.decode(); return [img.naturalWidth, img.naturalHeight]; });
  must(size[0] === 720 && size[1] === 260, `chart: ${size}`);
  await page.screenshot({ path: `${folder}/chart-${colorScheme}.png` });
}
await browser.close();
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
