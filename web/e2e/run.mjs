// Two people, real browsers, the real server. PARLANCE_URL names a running demo; otherwise one is started.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { launch, Person } from './browser.mjs';
import { startDemo } from './demo.mjs';
import { startProxy } from './proxy.mjs';
import { scenario } from './scenario.mjs';

const binary = process.env.PARLANCE_BIN ?? new URL('../../bin/parlance', import.meta.url).pathname;
if (!process.env.PARLANCE_URL && !existsSync(binary)) {
  console.error(`e2e: ${binary} is not there; build it (make build) or set PARLANCE_URL`);
  process.exit(1);
}
mkdirSync(new URL('../screenshots', import.meta.url), { recursive: true });

const demo = process.env.PARLANCE_URL ? null : await startDemo(binary);
const target = demo?.http ?? new URL(process.env.PARLANCE_URL).host;
const proxy = await startProxy(target);
const browser = await launch();
const trouble = [];
const only = process.argv[2];
let passed = 0;
let failed = 0;

const world = {
  browser,
  trouble,
  proxy,
  Person,
  assert,
  // Of another demo: its --c2s.
  c2s: demo?.c2s ?? process.env.PARLANCE_C2S ?? '127.0.0.1:5222',
  direct: `https://${target}`,
  proxied: `https://${proxy.address}`,
};
for (const [name, step] of scenario(world)) {
  if (only && !step.always && !name.includes(only)) continue;
  const start = performance.now();
  const before = new Set(browser.contexts());
  try {
    await step();
    passed++;
    console.log(`ok   ${name} (${Math.round(performance.now() - start)} ms)`);
  } catch (err) {
    failed++;
    console.log(`FAIL ${name}: ${err.stack ?? err}`);
    for (const [i, c] of browser.contexts().entries()) {
      for (const [j, p] of c.pages().entries()) {
        await p
          .screenshot({
            path: new URL(`../screenshots/fail-${name.replace(/\W+/g, '-')}-${i}-${j}.png`, import.meta.url).pathname,
          })
          .catch(() => {});
      }
    }
    // Guests of a failed step do not stay for the next one.
    if (!step.always) for (const c of browser.contexts()) if (!before.has(c)) await c.close();
    if (step.always) break;
  }
}
await browser.close();
await proxy.stop();
await demo?.stop();
if (process.env.E2E_LOG && demo) console.log(demo.log());
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
