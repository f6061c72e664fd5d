// evaluate.mjs PACKAGE FILE FLAG N: what flagd's own evaluator, of this package, gives N units for a flag of a file; prints the numbers of
// the units that get the treatment, as JSON.
import fs from "node:fs";

const [name, file, flag, n] = process.argv.slice(2);
const { FlagdCore } = await import(name);
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const core = new FlagdCore();
core.setConfigurations(fs.readFileSync(file, "utf8"));
const treated = [];
for (let unit = 0; unit < Number(n); unit += 1) {
  let value = false;
  try {
    value = core.resolveBooleanEvaluation(flag, false, { targetingKey: `unit-${unit}` }, silent).value;
  } catch {
    // Older releases throw for a flag that is disabled, and the SDK gives the application's default.
  }
  if (value === true) treated.push(unit);
}
console.log(JSON.stringify({ treated }));
