import * as m from '../paraglide/messages.js';
import type { Action } from './action.ts';

export const markRead: Action = {
  id: 'mark-read',
  title: m.action_read,
  keys: ['Escape'],
  inText: true,
  run: (app) => {
    if (!app.active) return;
    const c = app.conversation(app.active);
    c.divider = 0;
    c.toEnd?.();
    void app.remote.call('markRead', app.active);
  },
};
