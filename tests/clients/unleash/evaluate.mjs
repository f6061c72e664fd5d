// evaluate.mjs URL TOKEN FLAG STICKINESS N: asks an Unleash server's flag as an application does, for N units of their own; prints
// how many are on, as JSON.
import { initialize } from "unleash-client";

const [url, token, flag, stickiness, n] = process.argv.slice(2);
const unleash = initialize({
  url: `${url}/api`,
  appName: "outcome-runtime-test",
  customHeaders: { Authorization: token },
  disableMetrics: true,
});
unleash.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
unleash.on("synchronized", () => {
  let nOn = 0;
  for (let unit = 0; unit < Number(n); unit += 1) {
    const context = { [stickiness]: `unit-${unit}` };
    if (unleash.isEnabled(flag, context, false)) nOn += 1;
  }
  console.log(JSON.stringify({ n_on: nOn }));
  unleash.destroy();
});
