import type { App } from '../view/app.svelte.ts';

export function acceptRequest(app: App, jid: string): void {
  void app.remote.call('accept', jid).catch(() => undefined); // offline: the server asks again
}
export function declineRequest(app: App, jid: string): void {
  void app.remote.call('decline', jid).catch(() => undefined);
}
