import * as m from '../paraglide/messages.js';
import { CallError } from '../platform/remote.ts';
import type { App } from '../view/app.svelte.ts';
import { domain, prepare } from '../xmpp/jid.ts';
import type { Action } from './action.ts';

export const openAddContact: Action = {
  id: 'add-contact',
  title: m.action_add,
  keys: ['Alt+Shift+A'],
  inText: true,
  run: (app) => {
    app.panel = 'add';
  },
};

/** Sends the request; gives what is wrong with it, or '' and the address. */
export async function addContact(
  app: App,
  typed: string,
  name: string,
  group: string,
): Promise<{ error: string; jid: string }> {
  const jid = prepare(typed, domain(app.self.jid));
  if (!jid) return { error: m.add_bad(), jid: '' };
  if (jid === app.self.jid) return { error: m.add_self(), jid: '' };
  try {
    await app.remote.call('add', jid, name.trim(), group.trim() ? [group.trim()] : []);
    return { error: '', jid };
  } catch (err) {
    return { error: m.add_failed({ condition: err instanceof CallError ? err.condition : 'internal' }), jid: '' };
  }
}
