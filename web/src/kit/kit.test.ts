import { mount, unmount } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import type { Show, Status } from '../im/types.ts';
import './base.css';
import PresenceMark from './PresenceMark.svelte';
import Tick from './Tick.svelte';

let shown: object[] = [];
afterEach(() => {
  for (const c of shown) void unmount(c);
  shown = [];
  document.body.replaceChildren();
});

/** The drawing without its colour. */
function outline(svg: Element): string {
  return [...svg.querySelectorAll('path, circle, rect')].map((e) => e.outerHTML.replace(/svelte-\w+/g, '')).join('');
}

describe('shapes, not colour alone (LOOKS 11, 13)', () => {
  it('each presence has a drawing of its own, a phone too', () => {
    const drawings = new Set<string>();
    const cases: { show: Show; mobile: boolean }[] = [
      { show: 'available', mobile: false },
      { show: 'away', mobile: false },
      { show: 'dnd', mobile: false },
      { show: 'offline', mobile: false },
      { show: 'available', mobile: true },
    ];
    for (const props of cases) {
      shown.push(mount(PresenceMark, { target: document.body, props }));
      drawings.add(outline(document.body.lastElementChild!));
    }
    expect(drawings.size).toBe(cases.length);
  });
  it('each tick has a drawing and words of its own', () => {
    const all: Status[] = ['pending', 'archived', 'delivered', 'read', 'failed'];
    const drawings = new Set<string>();
    for (const status of all) {
      shown.push(mount(Tick, { target: document.body, props: { status, label: `is ${status}` } }));
      const svg = document.body.lastElementChild!;
      expect(svg.getAttribute('role')).toBe('img');
      expect(svg.getAttribute('aria-label')).toBe(`is ${status}`);
      drawings.add(outline(svg));
    }
    expect(drawings.size).toBe(all.length);
  });
});
