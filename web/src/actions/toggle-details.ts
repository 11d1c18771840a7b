import * as m from '../paraglide/messages.js';
import type { Action } from './action.ts';

export const toggleDetails: Action = {
  id: 'toggle-details',
  title: m.action_details,
  keys: ['Mod+I'],
  inText: true,
  run: (app) => {
    if (app.active) app.showDetails = !app.showDetails;
  },
};
