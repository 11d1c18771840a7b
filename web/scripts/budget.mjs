// Weighs what a browser loads first (gzip), and fails the build above the budgets of the design.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8'));
const size = (file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;

/** Every file that loading these entries brings, static imports included. */
function closure(keys) {
  const js = new Set();
  const css = new Set();
  const walk = (key) => {
    const chunk = manifest[key];
    if (!chunk || js.has(chunk.file)) return;
    if (chunk.file.endsWith('.css')) css.add(chunk.file);
    else js.add(chunk.file);
    for (const c of chunk.css ?? []) css.add(c);
    for (const i of chunk.imports ?? []) walk(i);
  };
  keys.forEach(walk);
  return { js: [...js], css: [...css] };
}
const workers = [...new Set([...(await files('assets'))].filter((f) => /\/worker-[^/]+\.js$/.test(f)))];
async function files(dir) {
  const { readdirSync } = await import('node:fs');
  return readdirSync(join(dist, dir)).map((f) => `${dir}/${f}`);
}

const login = closure(['index.html', 'src/ui/login.ts']);
const chat = closure(['index.html', 'src/ui/chat.ts']);
const sum = (list) => list.reduce((n, f) => n + size(f), 0) / 1000;
const rows = [
  ['sign-in JS', sum(login.js), 40],
  ['chat JS (page and worker)', sum([...chat.js, ...workers]), 130],
  ['chat CSS', sum(chat.css), 15],
];
let over = false;
if (!workers.length) throw new Error('budget: no worker chunk found');
for (const [what, kb, limit] of rows) {
  console.log(`${what.padEnd(28)} ${kb.toFixed(1).padStart(6)} kB gz of ${limit}`);
  if (kb > limit) over = true;
}
rmSync(join(dist, '.vite'), { recursive: true });
if (over) {
  console.error('budget: exceeded');
  process.exit(1);
}
