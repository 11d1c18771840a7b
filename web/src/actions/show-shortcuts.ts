import * as m from '../paraglide/messages.js';
import type { Action } from './action.ts';

export const showShortcuts: Action = {
  id: 'show-shortcuts',
  title: m.action_shortcuts,
  keys: ['?'],
  inText: false,
  run: (app) => {
    app.panel = 'shortcuts';
  },
};
