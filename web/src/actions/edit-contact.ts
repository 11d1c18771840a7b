import type { App } from '../view/app.svelte.ts';

export async function renameContact(app: App, jid: string, name: string): Promise<void> {
  await app.remote.call('rename', jid, name.trim(), app.roster.get(jid)?.groups ?? []);
}
export async function removeContact(app: App, jid: string): Promise<void> {
  await app.remote.call('remove', jid);
}
