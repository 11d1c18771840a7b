import type { Show } from '../im/types.ts';
import type { App } from '../view/app.svelte.ts';

export function setPresence(app: App, show: Show, status: string): void {
  app.self = { ...app.self, show, status };
  void app.remote.call('setPresence', show, status.trim());
}
