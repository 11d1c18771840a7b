import type { Msg } from '../im/types.ts';
import type { App } from '../view/app.svelte.ts';

/** The bubble stands before anything else happens; the core takes it over under the same key. */
export function sendMessage(app: App, peer: string, body: string): void {
  const text = body.replace(/\s+$/, '');
  if (!text.trim()) return;
  const id = crypto.randomUUID();
  const c = app.conversation(peer);
  const last = c.msgs.at(-1)?.ts ?? 0;
  const msg: Msg = {
    key: `o:${id}`,
    peer,
    dir: 'out',
    body: text,
    ts: Math.max(Date.now(), last + 0.001),
    id,
    archiveId: '',
    status: 'pending',
  };
  c.divider = 0;
  c.apply([msg]);
  c.toEnd?.();
  void app.remote.call('say', peer, text, id);
}

export function retryMessage(app: App, key: string): void {
  void app.remote.call('retry', key);
}
