import type { App } from '../view/app.svelte.ts';

/** Ends the session everywhere in this browser and forgets what was kept here. */
export function signOut(app: App): void {
  app.remote.signOut();
}
