// Calls every tool with the official TypeScript client, in every mode of the protocol, and checks each answer.
//
//     node call_all_tools.mjs PLAN.json
//
// The plan is the one of ../python/call_all_tools.py. The client validates each answer against the declared schema.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const MODES = [
  ['legacy', 'legacy', '2025-11-25'],
  ['auto', 'auto', '2026-07-28'],
  ['pinned', { pin: '2026-07-28' }, '2026-07-28'],
];

async function run(plan, name, mode, version) {
  const shown = [];
  const client = new Client(
    { name: 'typescript-client', version: '1' },
    { versionNegotiation: { mode }, capabilities: { elicitation: { url: {} } } },
  );
  client.setRequestHandler('elicitation/create', async (request) => {
    shown.push(request.params);
    return { action: 'accept' };
  });
  await client.connect(new StdioClientTransport({
    command: plan.command,
    cwd: plan.cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME ?? '/', ...plan.env },
  }));
  const tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
  assert.deepEqual(tools, plan.calls.map((call) => call.tool).sort());
  for (const call of plan.calls) {
    const where = `${name} ${call.tool}`;
    const result = await client.callTool({ name: call.tool, arguments: call.arguments });
    assert.ok(!result.isError, `${where}: ${JSON.stringify(result.content)}`);
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent, where);
    for (const [key, value] of Object.entries(call.expect)) {
      assert.deepEqual(result.structuredContent[key], value, `${where}: ${key}`);
    }
  }
  assert.equal(shown.length, 1, `${name}: the gate's page was shown ${shown.length} times`);
  assert.equal(shown[0].mode, 'url');
  const wrong = await client.callTool({ name: 'get_gate', arguments: { gate_id: 'nope' } });
  assert.ok(wrong.isError && wrong.structuredContent.error.valid, JSON.stringify(wrong));
  const gate = (await client.callTool({ name: 'get_gate', arguments: { gate_id: plan.gate } })).structuredContent;
  assert.equal(gate.status, 'pending');
  assert.deepEqual(gate.decisions, []);
  const read = await client.readResource({ uri: plan.uri });
  assert.ok(JSON.parse(read.contents[0].text));
  assert.equal((await client.listPrompts()).prompts.length, 4);
  const negotiated = client.getNegotiatedProtocolVersion?.();
  if (negotiated !== undefined) assert.equal(negotiated, version);
  const began = performance.now();
  await client.close();
  assert.ok(performance.now() - began < 1500, `${name}: the server is slow to end`);
  console.log(`typescript ${name}: ${plan.calls.length} tools over ${negotiated ?? version}`);
}

const plan = JSON.parse(readFileSync(process.argv[2], 'utf8'));
for (const [name, mode, version] of MODES) await run(plan, name, mode, version);
