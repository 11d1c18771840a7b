import { mount, unmount } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import type { Msg } from '../im/types.ts';
import '../kit/base.css';
import type { App } from '../view/app.svelte.ts';
import MessageRow from './MessageRow.svelte';

let view: object | undefined;
afterEach(() => {
  if (view) void unmount(view);
});

function show(msg: Partial<Msg>, calls: unknown[][] = []) {
  const app = { remote: { call: async (...a: unknown[]) => calls.push(a) } } as unknown as App;
  const full: Msg = {
    key: 'o:1',
    peer: 'bob@acme.test',
    dir: 'out',
    body: 'hi',
    ts: 1_000,
    id: '1',
    archiveId: '',
    ...msg,
  };
  view = mount(MessageRow, { target: document.body, props: { app, msg: full, name: 'Bob', first: true, last: true } });
  return document.querySelector('article')!;
}

describe('MessageRow', () => {
  it('shows text as text, whatever is in it', () => {
    const el = show({ body: '<img src=x onerror=alert(1)><b>bold</b> &amp;' });
    expect(el.querySelector('img, b')).toBeNull();
    expect(el.querySelector('.body')!.textContent).toContain('<img src=x onerror=alert(1)><b>bold</b> &amp;');
  });
  it('opens links away from here, without telling where from', () => {
    const a = show({ body: 'see https://acme.test/x' }).querySelector('a')!;
    expect(a.href).toBe('https://acme.test/x');
    expect(a.rel).toBe('noopener noreferrer');
    expect(a.target).toBe('_blank');
  });
  it('says why a message failed and tries again on request', () => {
    const calls: unknown[][] = [];
    const el = show({ status: 'failed', error: 'service-unavailable' }, calls);
    expect(el.textContent).toContain('nobody at this address');
    el.querySelector('button')!.click();
    expect(calls).toEqual([['retry', 'o:1']]);
  });
  it('has a tick on what we sent, none on what we got', () => {
    expect(show({ status: 'delivered' }).querySelector('[data-tick=delivered]')).not.toBeNull();
    void unmount(view!);
    expect(show({ dir: 'in', key: 'i:1' }).querySelector('[data-tick]')).toBeNull();
  });
});
