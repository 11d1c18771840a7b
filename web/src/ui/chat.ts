import { mount, unmount } from 'svelte';
import type { Token } from '../im/link.ts';
import { notify } from '../platform/notify.ts';
import { App } from '../view/app.svelte.ts';
import Chat from './Chat.svelte';

let app: App | null = null;
let ended: () => void = () => {};

/** The view model lives as long as the page: signing out and in again uses the same port. */
export function startChat(target: HTMLElement, jid: string, token: Token | null, signedOut: () => void): void {
  const model = new App(() => ended());
  app?.dispose();
  app = model;
  model.onIncoming = (msg) => notify(model.name(msg.peer), msg.body, msg.peer, () => model.select(msg.peer));
  const view = mount(Chat, { target, props: { app: model } });
  ended = () => {
    ended = () => {};
    model.dispose();
    void unmount(view);
    signedOut();
  };
  model.attach(jid, token);
}
