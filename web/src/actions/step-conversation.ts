import * as m from '../paraglide/messages.js';
import type { App } from '../view/app.svelte.ts';
import { people } from '../view/people.ts';
import type { Action } from './action.ts';

function step(app: App, by: 1 | -1, unreadOnly: boolean): void {
  const order = people(app).flatMap((g) => g.jids);
  const n = order.length;
  const from = app.active ? order.indexOf(app.active) : -1;
  for (let i = 1; i <= n; i++) {
    const jid = order[((((from < 0 && by < 0 ? 0 : from) + by * i) % n) + n) % n]!;
    if (!unreadOnly || app.conv(jid).unread > 0) {
      app.select(jid);
      return;
    }
  }
}

export const nextConversation: Action = {
  id: 'next-conversation',
  title: m.action_next,
  keys: ['Alt+ArrowDown'],
  inText: true,
  run: (app) => step(app, 1, false),
};
export const previousConversation: Action = {
  id: 'previous-conversation',
  title: m.action_previous,
  keys: ['Alt+ArrowUp'],
  inText: true,
  run: (app) => step(app, -1, false),
};
export const nextUnread: Action = {
  id: 'next-unread',
  title: m.action_next_unread,
  keys: ['Alt+Shift+ArrowDown'],
  inText: true,
  run: (app) => step(app, 1, true),
};
