import * as m from '../paraglide/messages.js';
import type { Action } from './action.ts';

export const openSwitcher: Action = {
  id: 'open-switcher',
  title: m.action_switcher,
  keys: ['Mod+K'],
  inText: true,
  run: (app) => {
    app.panel = app.panel === 'switcher' ? null : 'switcher';
  },
};
