import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

// Who may import whom; the reasons are in README.md. A layer may always import itself.
const SRC = new URL('../src/', import.meta.url).pathname;
const MAY: Record<string, string[]> = {
  xmpp: [],
  im: ['xmpp'],
  platform: ['im', 'xmpp'],
  view: ['im', 'xmpp', 'platform'],
  kit: ['im/types'], // the names of states it draws, nothing that runs
  actions: ['view', 'platform', 'im', 'xmpp', 'paraglide'],
  ui: ['actions', 'view', 'platform', 'kit', 'im/types', 'im/link', 'paraglide'],
};
/** Outside libraries and the one layer that may know each (their door). */
const DOORS: Record<string, string> = {
  'strophe.js': 'xmpp',
  idb: 'platform',
  'bits-ui': 'ui kit',
  '@tanstack/virtual-core': 'ui',
  '@lucide/svelte': 'ui kit',
};
const LINES = 400;

function files(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((d) => {
    const path = join(dir, d.name);
    if (d.isDirectory()) return d.name === 'paraglide' ? [] : files(path);
    return /\.(ts|svelte|css)$/.test(d.name) ? [path] : [];
  });
}
const all = files(SRC).map((path) => ({ path, name: relative(SRC, path), text: readFileSync(path, 'utf8') }));
const isTest = (name: string) => /\.test\.ts$|testing\.ts$/.test(name);

function imports(text: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)].map((m) => m[1]!);
}

describe('layers', () => {
  for (const { path, name, text } of all) {
    const layer = name.split('/')[0]!;
    if (!MAY[layer] || isTest(name)) continue;
    it(`${name} imports only downwards`, () => {
      for (const spec of imports(text)) {
        if (!spec.startsWith('.')) {
          const door = Object.entries(DOORS).find(([lib]) => spec === lib || spec.startsWith(`${lib}/`));
          if (door) expect(door[1].split(' '), `${spec} has its door elsewhere`).toContain(layer);
          continue;
        }
        const target = relative(SRC, resolve(dirname(path), spec)).replace(/\.(ts|svelte)$/, '');
        const ok = [layer, ...MAY[layer]!].some((l) => target === l || target.startsWith(`${l}/`));
        expect(ok, `${name} → ${target}`).toBe(true);
      }
    });
  }
});

describe('the core runs without a page', () => {
  it.each(
    all
      .filter((f) => /^(xmpp|im)\//.test(f.name) && f.name !== 'xmpp/dom.ts' && !isTest(f.name))
      .map((f) => [f.name, f.text]),
  )('%s touches no window, document or storage', (_name, text) => {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect(code).not.toMatch(/\b(window|document|localStorage|sessionStorage|indexedDB)\s*[.[]/);
  });
});

describe('house rules', () => {
  it.each(all.map((f) => [f.name, f.text]))('%s is of readable length', (_name, text) => {
    expect(text.split('\n').length).toBeLessThanOrEqual(LINES);
  });
  it('nothing inserts markup from strings', () => {
    for (const { name, text } of all)
      expect(text, name).not.toMatch(/\{@html|innerHTML|insertAdjacentHTML|document\.write|\beval\(/);
  });
  it('no address of another host is in the code', () => {
    for (const { name, text } of all.filter((f) => !isTest(f.name))) {
      const hosts = [...text.matchAll(/https?:\/\/([\w.-]+)/g)].map((m) => m[1]);
      // Names of namespaces and of our caps node are not fetched.
      expect(
        hosts.filter((h) => !['jabber.org', 'etherx.jabber.org', 'www.w3.org', 'parlance.im'].includes(h!)),
        name,
      ).toEqual([]);
    }
  });
});
